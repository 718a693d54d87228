/**
 * Two Unix datagram sockets that are connected to each other.
 *
 * @module
 */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from "./constants.ts";
import { check, close, libc } from "./libc.ts";

/**
 * Makes two Unix sockets that are connected to each other. Neither blocks.
 *
 * @param type SOCK_STREAM or SOCK_DGRAM.
 * @returns Their descriptors.
 * @throws {SystemError} If there are no descriptors for it.
 */
export function openPair(type: number): [number, number] {
  const ends = new Int32Array(2);
  check(
    libc().socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
    "making a pair of Unix sockets",
  );
  return [ends[0]!, ends[1]!];
}

/** A pair. Neither end blocks. */
export class UnixPair {
  private constructor(
    /** The descriptor of one end; the methods use the other one. */
    readonly one: number,
    readonly other: number,
  ) {}

  /** @throws {SystemError} If there are no descriptors for it. */
  static open(): UnixPair {
    return new UnixPair(...openPair(SOCK_DGRAM));
  }

  /** Writes a datagram at the other end. */
  write(at: Deno.PointerObject, length: number): void {
    libc().write(this.other, at, BigInt(length));
  }

  /** Reads a datagram at the other end. @returns Its bytes; -1 if there is none. */
  read(at: Deno.PointerObject, capacity: number): number {
    return libc().read(this.other, at, BigInt(capacity));
  }

  close(): void {
    close(this.one);
    close(this.other);
  }
}
