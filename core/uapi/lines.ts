/**
 * What both requests of the cross-platform configuration protocol share: lines of `key=value`, and errors
 * (https://www.wireguard.com/xplatform/).
 *
 * @module
 */

import { parseDecimal } from "../config/number.ts";
import { Errno } from "./errno.ts";

/**
 * An error that the protocol reports as `errno=`.
 *
 * @example
 * ```ts
 * import { Client, UapiError } from "@wgd/wgd";
 * import { rejects } from "node:assert/strict";
 *
 * await rejects(Client.connect("nobody"), UapiError);
 * ```
 */
export class UapiError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "UapiError";

  /**
   * Makes the error; nothing is printed.
   *
   * @param errno Positive, as in errno.h.
   * @param message What went wrong, for people.
   * @param hint What to do about it.
   */
  constructor(readonly errno: number, message: string, readonly hint: string | undefined = undefined) {
    super(message);
  }
}

/**
 * Writes the result of a request. `wg` expects a negative number after `set` and a positive one after `get`
 * (ipc-uapi.h).
 *
 * @param request Which request is answered.
 * @param errno 0 for success, else positive.
 */
export function formatErrno(request: "get" | "set", errno: number): string {
  return `errno=${request === "set" && errno !== 0 ? -errno : errno}\n\n`;
}

/** Characters of a chunk: it fits several times into a socket's buffer. */
const CHUNK = 16_384;

/** Joins pieces of a text into chunks, so that a hundred thousand peers never become one string. */
export function* inChunks(pieces: Iterable<string>): Generator<string, void> {
  let chunk = "";
  for (const piece of pieces) {
    chunk += piece;
    if (chunk.length <= CHUNK) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
}

/** Calls `line` for each `key=value` up to the first empty line; returns whether there was one. */
export function forEachLine(text: string, line: (key: string, value: string) => void): boolean {
  let at = 0;
  while (at < text.length) {
    const newline = text.indexOf("\n", at);
    if (newline === at) return true;
    const end = newline < 0 ? text.length : newline;
    const equals = text.indexOf("=", at);
    // The line may be a key, so the error does not quote it.
    if (equals < 0 || equals >= end) throw new UapiError(Errno.EPROTO, 'a line has no "="');
    line(text.slice(at, equals), text.slice(equals + 1, end));
    at = end + 1;
  }
  return false;
}

/** Reads the number of an `errno=` line, without its sign. */
export function parseErrno(value: string): number | null {
  return parseDecimal(value.startsWith("-") ? value.slice(1) : value, 0x7fffffff);
}

/** Requires a value of a reply to be valid. */
export function understood<T>(value: T | null, key: string, text: string): T {
  if (value === null) throw new UapiError(Errno.EPROTO, `cannot read ${describe(key, text)}`);
  return value;
}

/** Quotes the value, unless it may be a secret. */
export function describe(key: string, value: string): string {
  return key === "private_key" || key === "preshared_key" ? `the value of ${key}` : `${key}=${value}`;
}
