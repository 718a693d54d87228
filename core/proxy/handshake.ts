/**
 * What a program and a proxy say to each other before the bytes of a connection flow: the same for SOCKS5 and HTTP.
 *
 * Pure: bytes go in, bytes and a request come out.
 *
 * @module
 */

import type { Credentials, Target } from "../config/proxy_rules.ts";

export type { Credentials, Target };

/** What a program asks for. */
export interface ProxyRequest {
  /** `connect`: a connection to the target. `associate`: a way for UDP datagrams (SOCKS5 alone). */
  readonly kind: "connect" | "associate";
  readonly target: Target;
  /** What is to be sent to the target before anything else. */
  readonly first: Uint8Array;
}

/** What follows from bytes of the program. */
export interface ProxyStep {
  /** To be sent to the program. */
  readonly reply?: Uint8Array;
  /** What it asks for; {@linkcode ProxyHandshake.granted} or `refused` makes the answer. */
  readonly request?: ProxyRequest;
  /** Nothing more is to be said: after `reply` the connection ends. */
  readonly over?: boolean;
}

/** Why a request was not granted. */
export type Refusal = "refused" | "unreachable" | "unknown host" | "timed out" | "not allowed" | "failed";

/** One program's side of the talk. */
export interface ProxyHandshake {
  /** Takes bytes of the program in. Once a request was made, bytes are no longer this one's. */
  push(bytes: Uint8Array): ProxyStep;
  /** The answer to a request that was granted. @param bound Our end, as SOCKS5 tells it. */
  granted(bound: Target): Uint8Array;
  /** The answer to a request that was not. */
  refused(why: Refusal): Uint8Array;
}

/** A handshake longer than this is none. */
export const MAX_HANDSHAKE = 65_536;

const encoder = new TextEncoder();

/** Whether a user and a password are those that are asked for; how long it takes does not tell how much of them is right. */
export function knows(credentials: Credentials, user: string, password: string): boolean {
  const expected = encoder.encode(`${credentials.user}\0${credentials.password}`);
  const given = encoder.encode(`${user}\0${password}`);
  let difference = expected.length ^ given.length;
  for (let i = 0; i < expected.length; i++) difference |= expected[i]! ^ (given[i] ?? 0);
  return difference === 0;
}

/** Joins what has come so far with what comes now. */
export function joined(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (before.length === 0) return bytes.slice();
  const whole = new Uint8Array(before.length + bytes.length);
  whole.set(before);
  whole.set(bytes, before.length);
  return whole;
}
