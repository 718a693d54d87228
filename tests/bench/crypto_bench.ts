/**
 * What the cryptography costs, beside noble (JavaScript) and OpenSSL (native code). Read ratios, not figures: machines
 * differ, and so do two runs.
 *
 * @module
 */

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { equal } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCipheriv, createHash, createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { Wasm } from "../../wasm/mod.ts";

/** A full inner packet: MTU 1420 less IP and TCP headers, padded. */
const PACKET = 1408;
const VIRTIO_HEADER = 10;

const wasm = new Wasm();
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

const key = random(32), nonce = new Uint8Array(12), packet = random(PACKET);
const sealed = new Uint8Array(PACKET + 16), empty = new Uint8Array();
const slot = wasm.install(key, key, 1);
const from = wasm.memory.allocate(VIRTIO_HEADER + PACKET);
const CAPACITY = 2048;
const to = wasm.memory.allocate(CAPACITY);
wasm.memory.bytes.fill(0, from, from + VIRTIO_HEADER);
wasm.memory.bytes.set(packet, from + VIRTIO_HEADER);
// The first byte says that this is an IP packet of version 4.
wasm.memory.bytes[from + VIRTIO_HEADER] = 0x45;

function sealPacket(): number {
  return wasm.sealBatch(slot, from, VIRTIO_HEADER + PACKET, to, CAPACITY, 1420, 0, 1);
}
equal(sealPacket(), 1);

Deno.bench("seal one packet: wgd", { group: "ChaCha20-Poly1305, 1408 bytes", baseline: true }, () => {
  sealPacket();
});
Deno.bench("seal as handshakes do: wgd", { group: "ChaCha20-Poly1305, 1408 bytes" }, () => {
  wasm.seal(sealed, key, empty, packet);
});
Deno.bench("seal: noble", { group: "ChaCha20-Poly1305, 1408 bytes" }, () => {
  chacha20poly1305(key, nonce).encrypt(packet, sealed);
});
Deno.bench("seal: OpenSSL", { group: "ChaCha20-Poly1305, 1408 bytes" }, () => {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.update(packet);
  cipher.final();
  cipher.getAuthTag();
});

const secret = random(32), point = x25519.getPublicKey(random(32)), shared = new Uint8Array(32);
const privateKey = createPrivateKey({
  // RFC 8410: what goes before the 32 bytes.
  key: Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), secret]),
  format: "der",
  type: "pkcs8",
});
const publicKey = createPublicKey({
  key: Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), point]),
  format: "der",
  type: "spki",
});

Deno.bench("shared secret: wgd", { group: "X25519", baseline: true }, () => {
  wasm.dh(shared, secret, point);
});
Deno.bench("shared secret: noble", { group: "X25519" }, () => {
  x25519.getSharedSecret(secret, point);
});
Deno.bench("shared secret: OpenSSL", { group: "X25519" }, () => {
  diffieHellman({ privateKey, publicKey });
});

const message = random(64), digest = new Uint8Array(32);

Deno.bench("hash: wgd", { group: "BLAKE2s, 64 bytes", baseline: true }, () => {
  wasm.hash(digest, message);
});
Deno.bench("hash: noble", { group: "BLAKE2s, 64 bytes" }, () => {
  blake2s(message);
});
Deno.bench("hash: OpenSSL", { group: "BLAKE2s, 64 bytes" }, () => {
  createHash("blake2s256").update(message).digest();
});
