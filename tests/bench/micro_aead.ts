/**
 * ChaCha20-Poly1305 as packets need it, by size.
 *
 * @module
 */

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { equal } from "node:assert/strict";
import { createCipheriv, createDecipheriv } from "node:crypto";
import { JOIN_TCP } from "../../wasm/instance.ts";
import { Wasm } from "../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../wasm/packet.ts";
import type { Case, Group } from "./micro.ts";

/** 1,408 bytes are a full packet at an MTU of 1420, padded. */
const SIZES = [64, 256, 1_408, 9_000, 65_000];
/** Header and tag of a data message. */
const OVERHEAD = 32;
const TAG = 16;
/** Bytes that OpenSSL gets at once where it is to show what its loop alone can do. */
const LONG = 1 << 20;
/** Bytes of datagrams that are sealed before they are opened, untimed. */
const ROOM = 4 << 20;
const MAX_TRAIN = 65_507;
/** A TCP super-packet: IPv4 and TCP headers without options, cut into segments that fill an MTU of 1420. */
const HEADERS = 40, SEGMENT = 1_380, SEGMENTS = 45, SUPER_PACKET = HEADERS + SEGMENTS * SEGMENT;
const TRAIN_ROOM = 1 << 16;
/** Trains that a second-level cache holds: what the engine opens, the kernel has written a moment before. */
const TRAINS = 4;

const wasm = new Wasm();
const random = (length: number) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
};
const key = random(32), nonce = new Uint8Array(12);
const from = wasm.memory.allocate(VIRTIO_HEADER + 65_535), to = wasm.memory.allocate(ROOM);
const slot = wasm.install(key, key, 1);

/** An IPv4 packet of some size behind a virtio header that asks for nothing. */
function putPacket(size: number): void {
  const { bytes, view } = wasm.memory;
  bytes.fill(0, from, from + VIRTIO_HEADER);
  bytes.set(random(size), from + VIRTIO_HEADER);
  bytes[from + VIRTIO_HEADER] = 0x45;
  view.setUint16(from + VIRTIO_HEADER + 2, size);
}

function sealOne(size: number, at: number): void {
  // MTU 0: without a bound for the padding, which is none at these sizes.
  wasm.sealBatch(slot, from, VIRTIO_HEADER + size, at, size + OVERHEAD + TAG, 0, 0, 1);
}

function sealing(size: number): Case {
  return {
    name: "wgd",
    bytes: size,
    prepare: () => putPacket(size),
    run: (operations) => {
      for (let i = 0; i < operations; i++) sealOne(size, to);
    },
  };
}

function opening(size: number): Case {
  // The padding to 16 bytes.
  const sealed = ((size + 15) & ~15) + OVERHEAD;
  let receiver = wasm.install(key, key, 1);
  return {
    name: "wgd",
    bytes: size,
    limit: Math.floor(ROOM / sealed),
    prepare: (operations) => {
      putPacket(size);
      // A window that has seen none of the counters to come.
      wasm.forget(receiver);
      receiver = wasm.install(key, key, 1);
      for (let i = 0; i < operations; i++) sealOne(size, to + i * sealed);
      equal(wasm.sealed.written, sealed);
    },
    run: (operations) => {
      for (let i = 0; i < operations; i++) {
        wasm.openBatch(receiver, to + i * sealed, sealed, sealed, 0);
        if (wasm.opened.authenticated !== 1) throw new Error("a packet was not opened");
      }
    },
  };
}

function times(work: () => void): (operations: number) => void {
  return (operations) => {
    for (let i = 0; i < operations; i++) work();
  };
}

function openSslSeal(packet: Uint8Array): void {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG });
  cipher.update(packet);
  cipher.final();
  cipher.getAuthTag();
}

function openSslOpen(packet: Uint8Array, tag: Uint8Array): void {
  const decipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG });
  decipher.setAuthTag(tag);
  decipher.update(packet);
  decipher.final();
}

const long = random(LONG);
const longSealed = chacha20poly1305(key, nonce).encrypt(long);

const bulkSeal: Case = { name: "OpenSSL, 1 MiB at once", bytes: LONG, run: times(() => openSslSeal(long)) };
const bulkOpen: Case = {
  name: "OpenSSL, 1 MiB at once",
  bytes: LONG,
  run: times(() => openSslOpen(longSealed.subarray(0, LONG), longSealed.subarray(LONG))),
};

function group(size: number, work: "seal" | "open"): Group {
  const packet = random(size), sealed = chacha20poly1305(key, nonce).encrypt(packet);
  const content = sealed.subarray(0, size), tag = sealed.subarray(size);
  const out = new Uint8Array(size + TAG);
  const seal = work === "seal";
  return {
    title: `ChaCha20-Poly1305: ${work} ${size} bytes`,
    cases: [
      seal ? sealing(size) : opening(size),
      {
        name: "noble",
        bytes: size,
        run: times(
          seal
            ? () => void chacha20poly1305(key, nonce).encrypt(packet, out)
            : () => void chacha20poly1305(key, nonce).decrypt(sealed, out.subarray(0, size)),
        ),
      },
      {
        name: "OpenSSL, one call a packet",
        bytes: size,
        run: times(seal ? () => openSslSeal(packet) : () => openSslOpen(content, tag)),
      },
      seal ? bulkSeal : bulkOpen,
    ],
  };
}

/** Writes a TCP super-packet as TUN hands it over. */
function putSuperPacket(): void {
  putPacket(SUPER_PACKET);
  const { bytes, view } = wasm.memory;
  // linux/virtio_net.h: NEEDS_CSUM; GSO_TCPV4; length of the headers; segment; where the checksum is.
  bytes.set([1, 1], from);
  view.setUint16(from + 2, HEADERS, true);
  view.setUint16(from + 4, SEGMENT, true);
  view.setUint16(from + 6, 20, true);
  view.setUint16(from + 8, 16, true);
  const ip = from + VIRTIO_HEADER;
  bytes[ip + 6] = bytes[ip + 7] = 0;
  bytes[ip + 9] = 6;
  bytes[ip + 20 + 12] = 0x50;
  bytes[ip + 20 + 13] = 0x10;
}

/** To a train of datagrams: split, checksums, padding and sealing in one call. */
function sealingTrain(): Group {
  return {
    title: `ChaCha20-Poly1305: seal a super-packet of ${SEGMENTS} segments`,
    cases: [{
      name: "wgd, split and checksums included",
      bytes: SUPER_PACKET,
      prepare() {
        putSuperPacket();
        sealTrain(to);
        equal(wasm.sealed.segments, SEGMENTS);
      },
      run: times(() => sealTrain(to)),
    }, bulkSeal],
  };
}

/** And back: opened only, and checked and joined as well. */
function openingTrain(name: string, flags: number, packets: number): Case {
  let receiver = wasm.install(key, key, 1);
  return {
    name,
    bytes: SUPER_PACKET,
    limit: TRAINS,
    prepare(operations) {
      putSuperPacket();
      wasm.forget(receiver);
      receiver = wasm.install(key, key, 1);
      for (let i = 0; i < operations; i++) sealTrain(to + i * TRAIN_ROOM);
    },
    run(operations) {
      const { written, stride } = wasm.sealed;
      for (let i = 0; i < operations; i++) {
        const opened = wasm.openBatch(receiver, to + i * TRAIN_ROOM, written, stride, flags);
        if (opened !== packets) throw new Error(`a train became ${opened} packets`);
      }
    },
  };
}

function sealTrain(out: number): void {
  wasm.sealBatch(slot, from, VIRTIO_HEADER + SUPER_PACKET, out, MAX_TRAIN, 1_420, 0, 64);
}

/** All of it. */
export const AEAD: readonly Group[] = [
  ...SIZES.map((size) => group(size, "seal")),
  ...SIZES.map((size) => group(size, "open")),
  sealingTrain(),
  {
    title: `ChaCha20-Poly1305: open a train of ${SEGMENTS} datagrams`,
    cases: [
      openingTrain("wgd", 0, SEGMENTS),
      openingTrain("wgd, checksums verified and joined", JOIN_TCP, 1),
      bulkOpen,
    ],
  },
];
