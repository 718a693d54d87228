import { deepEqual, equal, ok } from "node:assert/strict";
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { type Build, KNOWN_TAG, Wasm } from "../../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";

// wide_test.ts imports this file once more, for the other build.
const build = (new URL(import.meta.url).searchParams.get("build") ?? "plain") as Build;
const wasm = new Wasm(build);
const hex = (text: string) => Uint8Array.fromHex(text.replace(/\s/g, ""));
const bytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const ROUNDS = Deno.env.get("WGD_TEST_FULL") === "1" ? 20_000 : 500;
const DATA_HEADER = 16;
const TAG = 16;

Deno.test(build + ": dh() RFC 7748 §5.2: both vectors, and a thousand iterations", () => {
  for (
    const [scalar, point, expected] of [
      [
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
      ],
      [
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
      ],
    ] as const
  ) {
    const out = new Uint8Array(32);
    ok(wasm.dh(out, hex(scalar), hex(point)));
    equal(out.toHex(), expected);
  }
  let k = hex("0900000000000000000000000000000000000000000000000000000000000000");
  let u = k;
  for (let i = 0; i < 1_000; i++) {
    const out = new Uint8Array(32);
    ok(wasm.dh(out, k, u));
    [u, k] = [k, out];
    if (i === 0) equal(k.toHex(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
  }
  equal(k.toHex(), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
});

Deno.test(build + ": dh() and publicKey() RFC 7748 §6.1: Bob's side of the exchange with Alice", () => {
  const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const alice = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  const out = new Uint8Array(32);
  wasm.publicKey(out, bob);
  equal(out.toHex(), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  ok(wasm.dh(out, bob, alice));
  equal(out.toHex(), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
});

Deno.test(
  build + ": dh() refuses the seven points of low order (test-vectors of the kernel's netns.sh)",
  () => {
    const points = [
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for (const point of points) equal(wasm.dh(new Uint8Array(32), bytes(32), hex(point)), false, point);
  },
);

Deno.test(build + ": hash() RFC 7693 appendix B: BLAKE2s of abc", () => {
  const out = new Uint8Array(32);
  wasm.hash(out, new TextEncoder().encode("abc"));
  equal(out.toHex(), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
});

Deno.test(build + ": sealCookie() draft-irtf-cfrg-xchacha-03 A.3.1", () => {
  const plaintext = new TextEncoder().encode(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
  const aad = hex("50515253c0c1c2c3c4c5c6c7");
  const out = new Uint8Array(plaintext.length + TAG);
  wasm.sealCookie(out, key, nonce, aad, plaintext);
  equal(
    out.toHex(),
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39" +
      "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9" +
      "21f9664c97637da9768812f615c68b13b52e" + "c0875924c1c7987947deafd8780acf49",
  );
  const back = new Uint8Array(plaintext.length);
  ok(wasm.openCookie(back, key, nonce, aad, out));
  deepEqual(back, plaintext);
});

Deno.test(build + `: all primitives agree with noble on ${ROUNDS} random inputs each`, () => {
  for (let i = 0; i < ROUNDS; i++) {
    const [secret, other, key, nonce, aad] = [bytes(32), bytes(32), bytes(32), bytes(24), bytes(i % 70)];
    const data = bytes(i % 300);
    const out = new Uint8Array(32);
    if (i % 10 === 0) {
      ok(wasm.dh(out, secret, other));
      deepEqual(out, x25519.getSharedSecret(secret, other));
      wasm.publicKey(out, secret);
      deepEqual(out, x25519.getPublicKey(secret));
    }
    wasm.hash(out, data, aad);
    deepEqual(out, blake2s(new Uint8Array([...data, ...aad])));
    const mac = new Uint8Array(16);
    wasm.mac(mac, key, data);
    deepEqual(mac, blake2s(data, { key, dkLen: 16 }));
    const sealed = new Uint8Array(data.length + TAG);
    wasm.seal(sealed, key, aad, data);
    deepEqual(sealed, chacha20poly1305(key, new Uint8Array(12), aad).encrypt(data));
    const opened = new Uint8Array(data.length);
    ok(wasm.open(opened, key, aad, sealed));
    deepEqual(opened, data);
    sealed[i % sealed.length]! ^= 1 << (i % 8);
    equal(wasm.open(opened, key, aad, sealed), false);
    wasm.sealCookie(sealed, key, nonce, aad, data);
    deepEqual(sealed, xchacha20poly1305(key, nonce, aad).encrypt(data));
    sealed[i % sealed.length]! ^= 1 << (i % 8);
    equal(wasm.openCookie(opened, key, nonce, aad, sealed), false);
  }
});

Deno.test(build + ": arguments leave no trace in the module's memory", () => {
  const secret = bytes(32);
  wasm.publicKey(new Uint8Array(32), secret);
  wasm.kdf(secret, secret, new Uint8Array(32));
  wasm.dh(new Uint8Array(32), secret, secret);
  wasm.seal(new Uint8Array(TAG), secret, new Uint8Array(0), new Uint8Array(0));
  equal(find(secret), -1);
});

Deno.test(build + ": forget() erases a session's keys", () => {
  const [send, receive] = [bytes(32), bytes(32)];
  const slot = wasm.install(send, receive, 1);
  ok(find(send) > 0 && find(receive) > 0, "the keys are in the memory of the module");
  const at = wasm.memory.allocate(64);
  ok(wasm.sealKeepalive(slot, at));
  wasm.openBatch(slot, at, 32, 32, 0);
  wasm.forget(slot);
  equal(find(send), -1);
  equal(find(receive), -1);
});

Deno.test(
  build + ": sealBatch() and openBatch() are ChaCha20-Poly1305 at every length up to a jumbo packet (noble)",
  () => {
    const { memory } = wasm;
    const [inner, outer] = [0, 0].map(() => memory.allocate(70_000)) as [number, number];
    const [key, other] = [bytes(32), bytes(32)];
    const sender = wasm.install(key, other, 0x01020304), receiver = wasm.install(other, key, 5);
    let counter = 0n;
    for (let length = 20; length < 9_000; length += length < 1_600 ? 1 : 97) {
      const packet = ipv4(length);
      memory.bytes.fill(0, inner, inner + VIRTIO_HEADER);
      memory.bytes.set(packet, inner + VIRTIO_HEADER);
      equal(wasm.sealBatch(sender, inner, VIRTIO_HEADER + length, outer, 65_507, 0, 0, 64), 1);
      const { written } = wasm.sealed;
      const padded = (length + 15) & ~15;
      equal(written, DATA_HEADER + padded + TAG);
      const view = new DataView(memory.bytes.buffer, outer);
      deepEqual([view.getUint32(0, true), view.getUint32(4, true), view.getBigUint64(8, true)], [
        4,
        0x01020304,
        counter,
      ]);
      const nonce = new Uint8Array(12);
      new DataView(nonce.buffer).setBigUint64(4, counter++, true);
      const plain = new Uint8Array(padded);
      plain.set(packet);
      const sealed = memory.bytes.slice(outer + DATA_HEADER, outer + written);
      deepEqual(sealed, chacha20poly1305(key, nonce).encrypt(plain), `${length} bytes`);
      equal(wasm.openBatch(receiver, outer, written, written, 0), 1);
      const at = wasm.partAddress(0);
      deepEqual(memory.bytes.slice(at + VIRTIO_HEADER, at + wasm.partLength(0)), packet);
      equal(
        wasm.openBatch(receiver, outer, written, written, 0),
        0,
        "the same datagram is refused as a replay",
      );
      equal(wasm.opened.replayed, 1);
    }
  },
);

Deno.test(
  build + ": sealBatch() ends at REJECT_AFTER_MESSAGES and asks for a new key after 2^60 (whitepaper §6.1)",
  () => {
    const { memory } = wasm;
    const [inner, outer] = [memory.allocate(2_000), memory.allocate(2_000)];
    const slot = wasm.install(bytes(32), bytes(32), 1);
    memory.bytes.set(ipv4(20), inner + VIRTIO_HEADER);
    const seal = () => wasm.sealBatch(slot, inner, VIRTIO_HEADER + 20, outer, 2_000, 1420, 0, 64);
    const counter = () => new DataView(memory.bytes.buffer, outer).getBigUint64(8, true);
    // Past 2^32: a counter of 32 bits would begin again and give a nonce twice.
    wasm.skipTo(slot, 0xffff_ffffn);
    for (const expected of [0xffff_ffffn, 0x1_0000_0000n]) {
      equal(seal(), 1);
      equal(counter(), expected);
    }
    equal(wasm.sealed.flags, 0);
    wasm.skipTo(slot, (1n << 60n) - 1n);
    equal(seal(), 1);
    equal(wasm.sealed.flags, 0);
    equal(seal(), 1);
    equal(wasm.sealed.flags, 1, "the flag says that a new key is due");
    const reject = (1n << 64n) - (1n << 13n) - 1n;
    wasm.skipTo(slot, reject - 1n);
    equal(seal(), 1);
    equal(counter(), reject - 1n);
    equal(wasm.sealed.flags, 3, "spent");
    equal(seal(), 0);
    equal(wasm.sealKeepalive(slot, outer), 0);
  },
);

Deno.test(build + ": sealBatch() completes a checksum as RFC 1071 has it, whatever the bytes", () => {
  const { memory } = wasm;
  const [inner, outer] = [memory.allocate(66_000), memory.allocate(66_000)];
  const key = bytes(32);
  const slot = wasm.install(key, key, 1);
  const sum = (words: Uint8Array) => {
    let total = 0;
    words.forEach((byte, i) => total += i % 2 === 0 ? byte << 8 : byte);
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    return total;
  };
  const patterns = [
    () => 0,
    () => 0xff,
    (i: number) => i % 2 === 0 ? 0x80 : 0,
    (i: number) => i % 2 === 0 ? 0 : 0x80,
  ];
  for (const length of [0, 1, 2, 15, 16, 31, 32, 33, 63, 64, 65, 1_371, 60_000, 65_535 - 28 - 48]) {
    for (const pattern of [...patterns, () => Math.random() * 256]) {
      const packet = ipv4(28 + length);
      packet[9] = 17;
      packet.subarray(28).forEach((_, i, payload) => payload[i] = pattern(i));
      const view = new DataView(packet.buffer);
      view.setUint16(24, 8 + length);
      const pseudo = new Uint8Array(12);
      pseudo.set(packet.subarray(12, 20));
      pseudo.set([0, 17, (8 + length) >> 8, 8 + length], 8);
      view.setUint16(26, sum(pseudo));
      // NEEDS_CSUM from byte 20 on, into its sixth.
      memory.bytes.set([1, 0, 0, 0, 0, 0, 20, 0, 6, 0, ...packet], inner);
      wasm.sealBatch(slot, inner, VIRTIO_HEADER + packet.length, outer, 66_000, 65_535, 0, 64);
      equal(wasm.openBatch(slot, outer, wasm.sealed.written, wasm.sealed.stride, 0), 1);
      const at = wasm.partAddress(0) + VIRTIO_HEADER;
      const got = memory.bytes.slice(at, at + packet.length);
      equal(sum(new Uint8Array([...pseudo, ...got.subarray(20)])), 0xffff, `${length} bytes of ${pattern}`);
    }
  }
});

function ipv4(length: number): Uint8Array {
  const packet = bytes(length);
  packet[0] = 0x45;
  packet[2] = length >> 8;
  packet[3] = length;
  return packet;
}

/** Where a key stands in the module's memory, or -1. */
function find(key: Uint8Array): number {
  const { bytes } = wasm.memory;
  for (let at = bytes.indexOf(key[0]!); at >= 0; at = bytes.indexOf(key[0]!, at + 1)) {
    if (key.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

Deno.test(build + ": isSound() knows a tag that noble agrees with", () => {
  ok(wasm.isSound());
  const packet = Uint8Array.from({ length: 1_408 }, (_, i) => i === 0 ? 0x45 : i);
  const key = Uint8Array.from({ length: 32 }, (_, i) => i);
  const tag = chacha20poly1305(key, new Uint8Array(12)).encrypt(packet).subarray(-TAG);
  equal(KNOWN_TAG, tag.toHex());
});
