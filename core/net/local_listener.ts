/**
 * Listeners for programs of this machine: TCP ports, Unix sockets, and ports with TLS.
 *
 * @module
 */

import { formatListening, type Listening, type UnixSocket } from "../config/proxy_rules.ts";
import type { ProxyListener } from "../proxy/rules.ts";

/** Access only for the owner. */
const OWNER_ONLY = 0o177;

/** A listener that removes its Unix socket when it is closed. */
export interface LocalListener {
  /** Where it listens, with the port that the system chose for 0. */
  readonly at: Listening;
  /** Waits for a connection. @throws {Deno.errors.BadResource} If it is or gets closed. */
  accept(): Promise<Deno.Conn>;
  close(): void;
}

/**
 * Begins to listen.
 *
 * @throws {Deno.errors.AddrInUse} If another program listens there.
 */
export async function listenLocally({ at, tls }: Omit<ProxyListener, "credentials">): Promise<LocalListener> {
  try {
    if ("path" in at) return await listenUnix(at);
    const listener = tls
      ? Deno.listenTls({
        ...at,
        cert: await Deno.readTextFile(tls.certFile),
        key: await Deno.readTextFile(tls.keyFile),
      })
      : Deno.listen(at);
    return {
      at: { ...at, port: listener.addr.port },
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
async function listenUnix(at: UnixSocket): Promise<LocalListener> {
  const { path } = at;
  await removeStaleSocket(path);
  // The mask, not a later chmod: between bind and chmod anyone could connect.
  const mask = Deno.umask(OWNER_ONLY);
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path });
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
