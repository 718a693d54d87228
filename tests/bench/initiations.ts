/**
 * Handshake initiations of many peers, made in advance, so that nobody else uses the processors for cryptography while
 * a daemon answers them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { CookieJar } from "../../core/protocol/cookie.ts";
import type { Milliseconds } from "../../core/protocol/clock.ts";
import { Drops } from "../../core/protocol/drops.ts";
import { KEY_LENGTH } from "../../core/config/key.ts";
import { Initiation, INITIATION_LENGTH, writeIndex } from "../../core/protocol/messages.ts";
import { computed } from "../../core/protocol/multiplication.ts";
import { Handshake, type Identity, Noise } from "../../core/protocol/noise.ts";
import { Peer } from "../../core/protocol/peer.ts";
import { StagedPackets } from "../../core/protocol/staged.ts";
import { Wasm } from "../../wasm/mod.ts";
import { generateKeys } from "../netns/lab/keys.ts";

/** Peers that initiate in turns, so that none sends a second initiation within 20 ms, which counts as a flood. */
export const INITIATORS = 500;
/** The distance between a peer's timestamps in nanoseconds. Every daemon can distinguish them. */
const TIMESTAMP_STEP = 1_000_000_000n;

/** The initiators and their initiations. */
export interface Initiations {
  /** Public keys in base64, in the order of the messages: message i is by peer i modulo {@linkcode INITIATORS}. */
  readonly publicKeys: readonly string[];
  /** Consecutive messages of 148 bytes. The i-th has i as its sender's index, and no mac2. */
  readonly messages: Uint8Array;
}

/**
 * Makes initiations. Each takes one or two tenths of a millisecond.
 *
 * @param responder Public key of the responder, in base64.
 * @param perPeer How many of each peer, with timestamps that rise.
 */
export function makeInitiations(responder: string, perPeer: number): Initiations {
  const wasm = new Wasm();
  const drops = new Drops();
  const noise = new Noise(wasm, (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>), drops);
  const staged = new StagedPackets<Peer>(drops);
  const responderKey = Buffer.from(responder, "base64");
  const jar = new CookieJar(wasm, responderKey);
  const identities = Array.from({ length: INITIATORS }, (): Identity => {
    const { privateKey, publicKey } = generateKeys();
    return { privateKey: Buffer.from(privateKey, "base64"), publicKey: Buffer.from(publicKey, "base64") };
  });
  // The responder as seen by each initiator, which keeps the secret of both static keys.
  const peers = identities.map(() => new Peer(1, responderKey, staged));
  const messages = new Uint8Array(INITIATORS * perPeer * INITIATION_LENGTH);
  for (let i = 0; i < INITIATORS * perPeer; i++) {
    const message = messages.subarray(i * INITIATION_LENGTH, (i + 1) * INITIATION_LENGTH);
    const who = i % INITIATORS;
    const wall = BigInt(Date.now()) * 1_000_000n + BigInt(Math.floor(i / INITIATORS)) * TIMESTAMP_STEP;
    const now = { boot: 0 as Milliseconds, wall };
    const handshake = new Handshake(peers[who]!, true);
    if (!computed(wasm, noise.createInitiation(message, handshake, identities[who]!, now))) {
      throw new TypeError("The responder's public key is of low order");
    }
    writeIndex(message, Initiation.sender, i);
    jar.addMacs(message, now.boot);
  }
  return {
    publicKeys: identities.map(({ publicKey }) => Buffer.from(publicKey).toString("base64")),
    messages,
  };
}

/** Bytes of a file with initiations and the keys of their senders. */
export function encodeInitiations({ publicKeys, messages }: Initiations): Uint8Array {
  return Buffer.concat([...publicKeys.map((key) => Buffer.from(key, "base64")), messages]);
}

/** The inverse of {@linkcode encodeInitiations}; keys are 32 bytes each. */
export function decodeInitiations(file: Uint8Array): { keys: Uint8Array[]; messages: Uint8Array } {
  const keys = Array.from(
    { length: INITIATORS },
    (_, i) => file.subarray(i * KEY_LENGTH, (i + 1) * KEY_LENGTH),
  );
  return { keys, messages: file.subarray(INITIATORS * KEY_LENGTH) };
}
