/**
 * Writes packets to a TUN device from any thread, by machine addresses.
 *
 * @module
 */

import { PointerCache } from "./arena.ts";
import { Errno } from "./constants.ts";
import { errno, libc } from "./libc.ts";

/** Addresses are their own offsets. */
const ZERO_BASE = { base: 0 };

/** Writes to a device with virtio headers. */
export class TunWriter {
  readonly #pointers = new PointerCache(ZERO_BASE);

  constructor(readonly fd: number) {}

  /** Writes one packet or super-packet, its virtio header first. @returns 0, or the errno if it was lost. */
  write(address: number, length: number): number {
    return result(libc().write(this.fd, this.#pointers.at(address), BigInt(length)), length);
  }

  /** Writes one super-packet that consists of parts. @param vectors Address of `count` entries of `struct iovec`. */
  writeVector(vectors: number, count: number, total: number): number {
    return result(libc().writev(this.fd, this.#pointers.at(vectors), count), total);
  }
}

/** The device accepts a whole packet or none. */
function result(written: number, length: number): number {
  if (written === length) return 0;
  return written < 0 ? errno() : Errno.EIO;
}
