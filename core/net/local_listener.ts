/**
 * Listeners for programs of this machine: TCP ports, Unix sockets, and ports with TLS.
 *
 * @module
 */

import { parseAddress } from "../config/address.ts";
import {
  formatListening,
  type Listening,
  type PortListening,
  type UnixSocket,
} from "../config/proxy_rules.ts";
import type { ProxyListener } from "../proxy/rules.ts";
import { type LocalConn, SocketListener, type StreamSockets } from "./local_conn.ts";

/** Access only for the owner. */
const OWNER_ONLY = 0o177;

/** A listener that removes its Unix socket when it is closed. */
export interface LocalListener {
  /** Where it listens, with the port that the system chose for 0. */
  readonly at: Listening;
  /** Waits for a connection. @throws {Deno.errors.BadResource} If it is or gets closed. */
  accept(): Promise<LocalConn>;
  close(): void;
}

/**
 * Begins to listen.
 *
 * @param streams Used instead of Deno's sockets where possible: not for TLS, and not for names.
 * @throws {Deno.errors.AddrInUse} If another program listens there.
 */
export async function listenLocally(
  { at, tls }: Omit<ProxyListener, "credentials">,
  streams?: StreamSockets,
): Promise<LocalListener> {
  try {
    if ("path" in at) return await listenUnix(at, streams);
    const listener = tls
      ? Deno.listenTls({
        ...at,
        cert: await Deno.readTextFile(tls.certFile),
        key: await Deno.readTextFile(tls.keyFile),
      })
      : listenOwn(streams, at) ?? Deno.listen(at);
    return {
      at: { ...at, port: listener instanceof SocketListener ? listener.port : listener.addr.port },
      accept: () => listener.accept(),
      close: () => listener.close(),
    };
  } catch (error) {
    throw withPlace(error, formatListening(at));
  }
}

/**
 * Listens at a path that only its owner can use. A socket without a listener is replaced.
 *
 * @throws {Deno.errors.AddrInUse} If another program listens there, or the path is another file.
 */
async function listenUnix(at: UnixSocket, streams: StreamSockets | undefined): Promise<LocalListener> {
  const { path } = at;
  await removeStaleSocket(path);
  // The mask, not a later chmod: between bind and chmod anyone could connect.
  const mask = Deno.umask(OWNER_ONLY);
  let listener: Pick<LocalListener, "accept" | "close">;
  try {
    listener = listenOwn(streams, at) ?? Deno.listen({ transport: "unix", path });
  } finally {
    Deno.umask(mask);
  }
  const { ino } = await Deno.lstat(path);
  return {
    at,
    accept: () => listener.accept(),
    close: () => {
      listener.close();
      removeSocket(path, ino);
    },
  };
}

/** Listens without Deno. @returns Undefined if that is not possible. Deno then succeeds, or has the error for the user. */
function listenOwn(
  streams: StreamSockets | undefined,
  at: PortListening | UnixSocket,
): SocketListener | undefined {
  if (streams === undefined) return undefined;
  try {
    if ("path" in at) return new SocketListener(streams, streams.listenUnix(at.path));
    const address = parseAddress(at.hostname);
    if (address) return new SocketListener(streams, streams.listenTcp({ address, port: at.port }));
  } catch {
    // Deno reports it.
  }
  return undefined;
}

/**
 * Removes a socket without a listener, which a killed program leaves behind. Any other file stays.
 *
 * @throws {Deno.errors.AddrInUse} If another program listens.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!(await Deno.lstat(path)).isSocket) return;
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    return await Deno.remove(path);
  }
  throw new Deno.errors.AddrInUse(`another program listens at ${path}`);
}

/** Removes our socket, unless another program has replaced it. */
export function removeSocket(path: string, ino: number | null): void {
  try {
    if (Deno.lstatSync(path).ino === ino) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The same error, with the address. */
function withPlace(error: unknown, name: string): unknown {
  if (!(error instanceof Error) || error.message.includes(name)) return error;
  const kind = Object.values(Deno.errors).find((kind) => error.constructor === kind) ?? Error;
  return new kind(`cannot listen at ${name}: ${error.message}`, { cause: error });
}
