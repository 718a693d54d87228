/**
 * The handshake between a program and a proxy, with the same interface for SOCKS5, HTTP and SNI. Pure: bytes go in, bytes
 * and a request come out.
 *
 * @module
 */

import type { Credentials, Target } from "../config/proxy_rules.ts";

export type { Credentials, Target };

/** The request of a program. */
export interface ProxyRequest {
  /** `connect`: a connection to the target. `associate`: an association for UDP datagrams (only SOCKS5). */
  readonly kind: "connect" | "associate";
  readonly target: Target;
  /** Bytes to send to the target first. */
  readonly first: Uint8Array;
}

/** The result of handling bytes of the program. */
export interface ProxyStep {
  /** Bytes to send to the program. */
  readonly reply?: Uint8Array;
  /** The request; {@linkcode ProxyHandshake.granted} or `refused` makes the reply. */
  readonly request?: ProxyRequest;
  /** The connection ends after `reply`. */
  readonly over?: boolean;
}

/** Why a request was refused. */
export type Refusal =
  | "refused"
  | "unreachable"
  | "unknown host"
  | "timed out"
  | "not allowed"
  | "too many connections"
  | "failed";

/** The handshake with one program. */
export interface ProxyHandshake {
  /** Handles bytes of the program. After the request, the bytes belong to the connection. */
  push(bytes: Uint8Array): ProxyStep;
  /** The reply to a granted request. @param bound The local address, which SOCKS5 reports. */
  granted(bound: Target): Uint8Array;
  /** The reply to a refused request. */
  refused(why: Refusal): Uint8Array;
}

/** A longer handshake is invalid. */
export const MAX_HANDSHAKE = 65_536;

const encoder = new TextEncoder();

/** Compares a user and a password with the expected ones, in constant time. */
export function knows(credentials: Credentials, user: string, password: string): boolean {
  const expected = encoder.encode(`${credentials.user}\0${credentials.password}`);
  const given = encoder.encode(`${user}\0${password}`);
  let difference = expected.length ^ given.length;
  for (let i = 0; i < expected.length; i++) difference |= expected[i]! ^ (given[i] ?? 0);
  return difference === 0;
}

/** Joins the previous bytes with the new ones. */
export function joined(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (before.length === 0) return bytes.slice();
  const whole = new Uint8Array(before.length + bytes.length);
  whole.set(before);
  whole.set(bytes, before.length);
  return whole;
}
