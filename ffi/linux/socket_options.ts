/**
 * Options of sockets.
 *
 * @module
 */

import { SK_MEMINFO, SO_MEMINFO, SOL_SOCKET } from "./constants.ts";
import { libc } from "./libc.ts";

/** Sets an option whose value is an `int`. @returns A negative number if the kernel refuses. */
export function setOption(fd: number, level: number, name: number, value: number): number {
  return libc().setsockopt(fd, level, name, new Int32Array([value]), 4);
}

/** Reads an option whose value is an `int`. @returns The option's value, or -1 if the kernel does not support it. */
export function getOption(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  return libc().getsockopt(fd, level, name, value, new Uint32Array([4])) < 0 ? -1 : value[0]!;
}

/** A socket's buffers in bytes, with the kernel's overhead; zeros if the kernel does not report them (before 4.12). */
export interface SocketMemory {
  readonly received: number;
  readonly receiveBound: number;
  readonly sent: number;
  readonly sendBound: number;
  /** Datagrams that found the receive buffer full. */
  readonly drops: number;
}

const memoryWords = new Int32Array(SK_MEMINFO.words);
const memoryLength = new Uint32Array(1);

/** How full a socket's buffers are, by SK_MEMINFO; valid until the next call. */
export function readMemory(fd: number): Int32Array {
  memoryWords.fill(0);
  memoryLength[0] = memoryWords.byteLength;
  libc().getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memoryWords, memoryLength);
  return memoryWords;
}
