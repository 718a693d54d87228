/**
 * Steps that the cases have in common, and what a case is.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { AF_INET } from "../../../../ffi/linux/constants.ts";
import { errno, libc } from "../../../../ffi/linux/libc.ts";
import { parseAddress } from "../../../../core/config/address.ts";
import { eventually } from "../exec.ts";
import { answer, exchange } from "../transfer.ts";
import { OURS, type Segment, type TcpWire, type WireOptions } from "./wire.ts";

const EINPROGRESS = 115;
/** Data of one byte. */
export const byte = Uint8Array.of(120);

/** One case. */
export interface Case {
  /** The kernel's settings before the test. */
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly wire?: WireOptions;
  readonly run: (wire: TcpWire) => Promise<void>;
}

/** Cases by name. */
export type Cases = Readonly<Record<string, Case>>;

/** Bytes that all differ from their neighbours. */
export function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => Math.imul(i, 2_654_435_761) >>> 13);
}

export async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let written = 0; written < data.length;) written += await conn.write(data.subarray(written));
}

/** Reads to the end, or until so many bytes have come. */
export async function readAll(conn: Deno.Conn, most = Infinity): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < most) {
    const chunk = new Uint8Array(Math.min(65_536, most - length));
    const count = await conn.read(chunk);
    if (count === null) break;
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  const all = new Uint8Array(length);
  chunks.reduce((at, chunk) => (all.set(chunk, at), at + chunk.length), 0);
  return all;
}

/** Writes for ever. */
export async function flood(conn: Deno.Conn): Promise<never> {
  const block = pattern(65_536);
  for (;;) await conn.write(block);
}

/** Writes until the peer's window is shut, and goes on when it opens. @returns How it ends. */
export async function flooded(wire: TcpWire, conn: Deno.Conn): Promise<{ error: Promise<unknown> }> {
  const shut = Promise.withResolvers<void>();
  wire.onGot = ({ window }) => {
    if (window === 0) shut.resolve();
  };
  const error = flood(conn).catch((error) => error);
  await shut.promise;
  return { error };
}

/** No state of our connections is left. */
export async function forgotten({ host }: TcpWire): Promise<void> {
  await eventually("everything to be forgotten", () => {
    const { connections, bytes } = host.usage;
    return connections === 0 && bytes === 0;
  });
}

/** The next segment that a side sends, of some kind. */
export function next(wire: TcpWire, side: "onSent" | "onGot", flag: number): Promise<Segment> {
  return new Promise((resolve) => {
    wire[side] = (segment) => void (segment.flags & flag && resolve(segment));
  });
}

/** Both ends send bytes and compare what they get. */
export async function both(ours: Deno.Conn, theirs: Deno.Conn, bytes: number): Promise<void> {
  const answered = answer(theirs);
  await exchange(ours, bytes);
  ours.close();
  await answered;
  theirs.close();
}

/** As `both`, with connections that either has opened. */
export async function exchangeBoth(wire: TcpWire, bytes: number): Promise<void> {
  for (const opened of [await wire.connect(), await wire.accept(), await wire.connect(6)]) {
    const [ours, theirs] = opened;
    await both(ours, theirs, bytes);
  }
}

export function count(flags: readonly number[], flag: number): number {
  return flags.filter((flags) => flags & flag).length;
}

/** Connects a socket of the kernel to one of our ports. It does not wait until it is connected. */
export function startConnecting(fd: number, port: number): void {
  const address = socketAddress(OURS[4], port);
  if (libc().connect(fd, address, address.length) < 0) equal(errno(), EINPROGRESS);
}

/** A `sockaddr_in`. */
export function socketAddress(hostname: string, port: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  address.set(parseAddress(hostname)!, 4);
  return address;
}
