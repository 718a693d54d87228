/**
 * Parses the settings of a proxy, in options and in lines of a configuration file.
 *
 * @module
 */

import { parseAddress } from "./address.ts";
import { ValueError } from "./values.ts";

/** A port of this machine on which the proxy listens. */
export interface PortListening {
  /** An address of this machine, or `localhost`. */
  readonly hostname: string;
  readonly port: number;
}

/** A Unix socket, by its path. */
export interface UnixSocket {
  readonly path: string;
}

/** The address of a listener. */
export type Listening = PortListening | UnixSocket;

/** An address family. */
export type Family = "ipv4" | "ipv6";

/** A name or an address, as text, and a port. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** Forwards connections of programs on this machine through the tunnel. */
export interface Forward {
  readonly from: Listening;
  readonly to: Target;
}

/** A forward from a port. */
export interface PortForward extends Forward {
  readonly from: PortListening;
}

/** The same for datagrams. */
export interface UdpForward extends PortForward {
  /** Seconds without a datagram after which a flow ends; Infinity for never. */
  readonly idle?: number;
}

/** Forwards connections from the tunnel to this machine, or to a host that this machine reaches. */
export interface Reverse {
  readonly port: number;
  readonly to: Target | UnixSocket;
}

/** The same for datagrams. */
export interface UdpReverse {
  readonly port: number;
  readonly to: Target;
}

/** A user and a password that programs must send. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** The default address of listeners, which only this machine can reach. */
const LOOPBACK = "127.0.0.1";
const UNIX = "unix:";
/** sizeof(sun_path) in linux/un.h, less the final zero. */
const MAX_PATH = 107;

/**
 * Reads `[ADDRESS:]PORT`, on loopback without an address, or `unix:PATH`.
 *
 * @throws {ValueError} If it has neither form.
 */
export function readListening(text: string): Listening {
  return text.startsWith(UNIX) ? readPath(text) : readPortListening(text);
}

/**
 * Reads `[ADDRESS:]PORT`, on loopback without an address.
 *
 * @throws {ValueError} If it does not have this form.
 */
export function readPortListening(text: string): PortListening {
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
 * @throws {ValueError} If it does not have this form.
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
 * @throws {ValueError} If it does not have this form.
 */
export function readForward(text: string): Forward {
  // A path may contain "=", but a target does not.
  const [from, to] = halves(text, text.lastIndexOf("="), "forward", "5432=db.internal:5432");
  return { from: readListening(from), to: readTarget(to) };
}

/**
 * Reads `[ADDRESS:]PORT=HOST:PORT`.
 *
 * @throws {ValueError} If it does not have this form.
 */
export function readPortForward(text: string): PortForward {
  const [from, to] = halves(text, text.lastIndexOf("="), "forward", "5353=10.0.0.1:53");
  return { from: readPortListening(from), to: readTarget(to) };
}

/**
 * Reads `PORT=HOST:PORT` or `PORT=unix:PATH`.
 *
 * @throws {ValueError} If it does not have this form.
 */
export function readReverse(text: string): Reverse {
  const [port, to] = halves(text, text.indexOf("="), "reverse forward", "8080=127.0.0.1:3000");
  return { port: readPort(port), to: to.startsWith(UNIX) ? readPath(to) : readTarget(to) };
}

/**
 * Reads `PORT=HOST:PORT`.
 *
 * @throws {ValueError} If it does not have this form.
 */
export function readUdpReverse(text: string): UdpReverse {
  const [port, to] = halves(text, text.indexOf("="), "reverse forward", "53=127.0.0.1:5353");
  return { port: readPort(port), to: readTarget(to) };
}

/**
 * Reads `user:password` from the text of a file.
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

/**
 * Reads the address family to try first; undefined for `auto`.
 *
 * @throws {ValueError} If it is none of these.
 */
export function readFamily(text: string): Family | undefined {
  const word = text.toLowerCase();
  if (word === "auto") return undefined;
  if (word === "ipv4" || word === "ipv6") return word;
  throw new ValueError(
    `Unable to parse address family: \`${text}'`,
    `found "${text}", expected ipv4, ipv6 or auto`,
  );
}

/** Whether only this machine can reach an address. */
export function isLocal(listening: Listening): boolean {
  if ("path" in listening) return true;
  const { hostname } = listening;
  return hostname === "localhost" || hostname === "::1" || hostname.startsWith("127.");
}

/** Formats a listener as on the command line. */
export function formatListening(listening: Listening): string {
  return "path" in listening
    ? `${UNIX}${listening.path}`
    : formatTarget({ ...listening, host: listening.hostname });
}

/** Formats a target as on the command line. */
export function formatTarget({ host, port }: Target): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function readPath(text: string): UnixSocket {
  const path = text.slice(UNIX.length);
  if (!path.startsWith("/") || path.endsWith("/") || path.includes("\0")) {
    throw new ValueError(
      `Unable to parse the path of a socket: \`${text}'`,
      `found "${text}", expected an absolute path, such as unix:/run/user/1000/proxy.sock`,
    );
  }
  if (new TextEncoder().encode(path).length > MAX_PATH) {
    throw new ValueError(
      `Unable to parse the path of a socket: \`${text}'`,
      `"${path}" has more than ${MAX_PATH} bytes, which is too long for a Unix socket`,
    );
  }
  return { path };
}

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new ValueError(
    `Unable to parse port: \`${text}'`,
    `found "${text}", expected a port of the tunnel's address, from 1 to 65535`,
  );
}

function halves(text: string, equals: number, what: string, example: string): [string, string] {
  if (equals > 0 && equals < text.length - 1) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new ValueError(
    `Unable to parse ${what}: \`${text}'`,
    `found "${text}", expected ${what === "forward" ? "LISTENING" : "PORT"}=HOST:PORT, such as ${example}`,
  );
}

function split(text: string): Target | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]/@=]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) return null;
  return { host: match[1] ?? match[2]!, port };
}
