/**
 * Shares one tunnel between processes. Two tunnels with the same key take each other's packets, because the peer
 * answers the one from which it received last. So the process that brings a tunnel up lets other processes of its user
 * connect through it, at a Unix socket.
 *
 * @module
 */

import type { Config } from "../config/format.ts";
import type { Target } from "../config/proxy_rules.ts";
import type { Refusal } from "../proxy/handshake.ts";
import { formatConnect, parseConnected } from "../proxy/socks5.ts";
import { publicKey } from "../public_key.ts";
import { errorOf } from "./conn.ts";
import { closeQuietly, writeAll } from "./relay.ts";

/** The end of the socket's name. Programs that list control sockets ignore it. */
const SUFFIX = ".socks5";
/** Bytes of the hash that are in the name: a socket's path may have 107 characters. */
const HASHED = 12;

/**
 * The path of the socket through which other processes can use a tunnel. Its name is a hash of the tunnel's key and its
 * peers, because another file may have the same name, and the same tunnel may be in another file.
 *
 * @param folder One that only its owner can use.
 */
export async function sharedSocket(folder: string, { privateKey, peers }: Config): Promise<string> {
  const keys = [
    ...privateKey ? [publicKey(privateKey)] : [],
    ...peers.map(({ publicKey }) => publicKey).sort((a, b) => compare(a, b)),
  ];
  const hash = await crypto.subtle.digest("SHA-256", Uint8Array.from(keys.flatMap((key) => [...key])));
  return `${folder}/${new Uint8Array(hash, 0, HASHED).toHex()}${SUFFIX}`;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

/**
 * Connects through the tunnel of another process.
 *
 * @param path What `sharedSocket` returned.
 * @returns Null if no process runs the tunnel.
 * @throws As `Net.connect`, if the other process could not connect.
 */
export async function connectThrough(
  path: string,
  target: Target,
  signal: AbortSignal,
): Promise<Deno.Conn | null> {
  let conn: Deno.UnixConn;
  try {
    conn = await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) return null;
    throw error;
  }
  const hangUp = () => closeQuietly(conn);
  signal.addEventListener("abort", hangUp, { once: true });
  try {
    const answer = await ask(conn, target);
    signal.throwIfAborted();
    if (answer === "granted") return conn;
    hangUp();
    if (answer === "gone") return null;
    throw refusal(answer, target);
  } catch (error) {
    hangUp();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", hangUp);
  }
}

/** @returns `gone` if the process ended meanwhile. */
async function ask(conn: Deno.Conn, target: Target): Promise<"granted" | "gone" | Refusal> {
  let answer = new Uint8Array();
  try {
    await writeAll(conn, formatConnect(target));
    for (;;) {
      const result = parseConnected(answer);
      if (typeof result === "string") return result;
      // Reads no more than the reply, because the bytes after it are from the target.
      const more = new Uint8Array(result);
      const length = await conn.read(more);
      if (length === null) return "gone";
      answer = Uint8Array.of(...answer, ...more.subarray(0, length));
    }
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset) {
      return "gone";
    }
    throw error;
  }
}

/** The same error as if the connection had been made here. */
function refusal(why: Refusal, { host, port }: Target): Error {
  switch (why) {
    case "refused":
    case "timed out":
    case "unreachable":
      return errorOf(why, { transport: "tcp", hostname: host, port });
    default:
      return new Deno.errors.ConnectionAborted(
        `the process that runs the tunnel cannot connect to ${host}:${port}`,
      );
  }
}
