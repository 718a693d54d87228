/**
 * What a proxy is told to do on the command line, read.
 *
 * @module
 */

import { parseAddress } from "../config/address.ts";
import { ValueError } from "../config/values.ts";
import type { Credentials, Target } from "./handshake.ts";

/** Where programs connect to: on this machine, or on the tunnel's address. */
export interface Listening {
  readonly hostname: string;
  readonly port: number;
}

/** Connections to one place go on to another. */
export interface Forward {
  readonly from: Listening;
  readonly to: Target;
}

/** Where programs that do not say otherwise may connect from: this machine alone. */
const LOOPBACK = "127.0.0.1";

/**
 * Reads `[ADDRESS:]PORT`, on loopback unless it says otherwise.
 *
 * @throws {ValueError} If it is none.
 */
export function readListening(text: string): Listening {
  const target = /^\d+$/.test(text) ? split(`${LOOPBACK}:${text}`) : split(text);
  if (!target || target.host !== "localhost" && !parseAddress(target.host)) {
    throw new ValueError(
      `Unable to parse listening address: \`${text}'`,
      `found "${text}", expected a port or ADDRESS:PORT, such as 1080 or 127.0.0.1:1080`,
    );
  }
  return { hostname: target.host, port: target.port };
}

/**
 * Reads `HOST:PORT`.
 *
 * @throws {ValueError} If it is none.
 */
export function readTarget(text: string): Target {
  const target = split(text);
  if (!target) {
    throw new ValueError(
      `Unable to parse target: \`${text}'`,
      `found "${text}", expected HOST:PORT, such as db.internal:5432 or [fd00::1]:5432`,
    );
  }
  return target;
}

/**
 * Reads `LISTENING=HOST:PORT`.
 *
 * @throws {ValueError} If it is none.
 */
export function readForward(text: string): Forward {
  const [from, to, ...more] = text.split("=");
  if (!from || !to || more.length > 0) {
    throw new ValueError(
      `Unable to parse forward: \`${text}'`,
      `found "${text}", expected PORT=HOST:PORT, such as 5432=db.internal:5432`,
    );
  }
  return { from: readListening(from), to: readTarget(to) };
}

/**
 * Reads `user:password`, as it stands in a file.
 *
 * @throws {ValueError} If there is no colon; the message does not quote it.
 */
export function readCredentials(text: string): Credentials {
  const line = text.split(/\r?\n/, 1)[0]!;
  const colon = line.indexOf(":");
  if (colon < 1) {
    throw new ValueError("Unable to parse credentials", "expected one line with user:password");
  }
  return { user: line.slice(0, colon), password: line.slice(colon + 1) };
}

/** Whether nobody but this machine reaches an address. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || hostname.startsWith("127.");
}

function split(text: string): Target | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]/@=]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) return null;
  return { host: match[1] ?? match[2]!, port };
}
