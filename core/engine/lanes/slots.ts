/**
 * The layout of a lane's memory: slots for jobs of both directions, and a table of keys. The engine reads packets and
 * datagrams directly into it.
 *
 * @module
 */

import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { type Direction, HANDLES, MAX_WRITTEN, OUT } from "./board.ts";

/** The maximum number of jobs of a lane in each direction. */
export const SLOTS = 16;

/** Bytes for packets to encrypt: several small ones, followed by the largest. */
export const INNER_BYTES = 2 * 65_536;
/** The maximum size of a packet with its virtio header. */
export const PACKET_BYTES: number = VIRTIO_HEADER + 65_535;
/** Bytes for encrypted datagrams. */
export const SEALED_BYTES = 2 * 65_536 + 4_096;
/** Bytes for received trains: several short ones, followed by the longest. */
export const OUTER_BYTES = 2 * 65_536;
/** The maximum size of a train. */
export const TRAIN_BYTES = 65_536;
/** Bytes for the iovecs of their packets. */
export const VECTOR_BYTES: number = MAX_WRITTEN * 16;
const OUT_BYTES = INNER_BYTES + SEALED_BYTES;
const IN_BYTES = OUTER_BYTES + VECTOR_BYTES;

/** Bytes of all slots. */
export const SLOTS_BYTES: number = SLOTS * (OUT_BYTES + IN_BYTES);
/** Bytes of the keys of one session: `Keypair` in wasm/src/keypairs.rs. */
const KEYPAIR_BYTES = 96;
/** Bytes of the table of keys. */
export const KEYS_BYTES: number = HANDLES * KEYPAIR_BYTES;

/** Offset of a slot. @param slots Offset of all slots. */
export function slotAt(slots: number, direction: Direction, slot: number): number {
  return direction === OUT ? slots + slot * OUT_BYTES : slots + SLOTS * OUT_BYTES + slot * IN_BYTES;
}

/** Offset of the keys of a session. @param keys Offset of the table of keys. */
export function keyAt(keys: number, handle: number): number {
  return keys + handle * KEYPAIR_BYTES;
}
