/**
 * Connections to the control sockets of interfaces and proxies.
 *
 * @module
 */

import { UapiError } from "../uapi/lines.ts";
import { socketPath } from "../uapi/socket_path.ts";
import { ownProxyFolder, proxySocket } from "./proxy_sockets.ts";
import { errnoOf } from "./system.ts";

const NEWLINE = 10;

const encoder = new TextEncoder();

/** Connects to an interface or a proxy; returns null if nobody listens. */
export async function connect(name: string): Promise<Deno.UnixConn | null> {
  if (name.includes("/")) return null;
  for (const path of await socketsOf(name)) {
    const connection = await connectAt(path);
    if (connection) return connection;
  }
  return null;
}

/**
 * The sockets to try for a name. A user's own proxy comes before an interface of the same name, which the user may not
 * access. For root the interface comes first, so that no request for the interface reaches a proxy.
 */
async function socketsOf(name: string): Promise<string[]> {
  const folder = ownProxyFolder();
  if (folder === undefined) return [socketPath(name)];
  const proxy = proxySocket(folder, name);
  if (Deno.uid() !== 0) return [proxy, socketPath(name)];
  const exists = await Deno.lstat(`/sys/class/net/${name}`).then(() => true, () => false);
  return exists ? [socketPath(name)] : [socketPath(name), proxy];
}

/** Connects; returns null if nobody listens, and removes a stale socket, as `wg` does. */
export async function connectAt(path: string): Promise<Deno.UnixConn | null> {
  try {
    if (!(await Deno.stat(path)).isSocket) return null;
  } catch {
    return null;
  }
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw toUapiError(error, `connecting to ${path}`);
    await Deno.remove(path).catch(() => {});
    return null;
  }
}

/** Sends a request. */
export async function send(connection: Deno.UnixConn, chunks: Iterable<string>): Promise<void> {
  for (const chunk of chunks) {
    const bytes = encoder.encode(chunk);
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  }
}

/**
 * Reads a reply up to the empty line that ends it, or to the end of the stream.
 *
 * @param enough Reading also ends after the piece that contains a match of this.
 */
export async function receive(connection: Deno.UnixConn, enough?: RegExp): Promise<string> {
  let text = "";
  for await (const piece of receivePieces(connection)) {
    text += piece;
    if (enough?.test(text)) break;
  }
  return text;
}

/** Reads a reply as `receive`, piece by piece. */
export async function* receivePieces(connection: Deno.UnixConn): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(1 << 16);
  // Searching the bytes for the end avoids a copy of the whole text for each piece that is read.
  let newlines = 1;
  for (;;) {
    const length = await connection.read(buffer);
    if (length === null) return yield decoder.decode();
    for (let i = Math.max(0, length - 2); i < length; i++) {
      newlines = buffer[i] === NEWLINE ? newlines + 1 : 0;
    }
    yield decoder.decode(buffer.subarray(0, length), { stream: true });
    if (newlines >= 2) return;
  }
}

/** Converts an error of the system to one of the protocol. Any other error is thrown again. */
export function toUapiError(error: unknown, action: string): unknown {
  const errno = errnoOf(error);
  return errno === undefined ? error : new UapiError(errno, `${action}: ${(error as Error).message}`);
}
