/**
 * The exports of the WebAssembly module.
 *
 * @module
 */

import type { TcpExports } from "./tcp.ts";

/** What the module exports; see `src/exports.rs`. */
export interface Exports extends TcpExports {
  readonly memory: WebAssembly.Memory;
  allocate(length: number, align: number): number;
  entries_address(): number;
  parts_address(): number;
  shared_secret(out: number, privateKey: number, publicKey: number): number;
  public_key(out: number, privateKey: number): void;
  hash(out: number, a: number, aLength: number, b: number, bLength: number): void;
  mac(out: number, key: number, keyLength: number, data: number, length: number): void;
  kdf(out: number, chainingKey: number, input: number, length: number): void;
  seal(data: number, length: number, key: number, aad: number, aadLength: number): void;
  open(data: number, length: number, key: number, aad: number, aadLength: number): number;
  seal_cookie(data: number, length: number, key: number, nonce: number, aad: number, aadLength: number): void;
  open_cookie(
    data: number,
    length: number,
    key: number,
    nonce: number,
    aad: number,
    aadLength: number,
  ): number;
  keypair_new(sendKey: number, receiveKey: number, remoteIndex: number): number;
  keypair_free(slot: number): void;
  wipe_stack(): void;
  keypair_skip(slot: number, low: number, high: number): void;
  seal_batch(
    slot: number,
    from: number,
    length: number,
    to: number,
    capacity: number,
    mtu: number,
    first: number,
    maxSegments: number,
  ): number;
  packet_count(from: number, length: number): number;
  seal_keepalive(slot: number, to: number): number;
  open_batch(slot: number, from: number, length: number, stride: number, flags: number): number;
  separate(from: number, length: number, packet: number): void;
  keypair_reserve(slot: number, count: number): number;
  keypair_borrow(slot: number, low: number, high: number, count: number): void;
  keypair_window(slot: number): number;
  window_address(): number;
  authenticate(slot: number, from: number, length: number, stride: number): number;
  admit(): number;
  join_batch(from: number, length: number, flags: number): number;
}
