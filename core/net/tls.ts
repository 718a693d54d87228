/**
 * TLS through the tunnel: `node:tls` over a connection, with the API of `Deno.TlsConn`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectNodeTls, type TLSSocket } from "node:tls";
import type { NetConnectTlsOptions, NetTlsConn } from "./api.ts";
import type { TcpConn } from "./conn.ts";
import { ConnDuplex } from "./duplex.ts";

/** A TLS connection. */
export class TlsConn implements NetTlsConn {
  /** The protocol that was chosen (ALPN); null without one. */
  readonly alpnProtocol: string | null;
  /** The bytes that the peer sends. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The bytes to send to the peer. Closing it closes this side of the connection. */
  readonly writable: WritableStream<Uint8Array<ArrayBufferLike>>;
  readonly localAddr: Deno.NetAddr;
  readonly remoteAddr: Deno.NetAddr;
  readonly #socket: TLSSocket;

  /** Called by `startTls`. */
  constructor(socket: TLSSocket, conn: TcpConn) {
    this.#socket = socket;
    this.alpnProtocol = socket.alpnProtocol || null;
    this.localAddr = conn.localAddr;
    this.remoteAddr = conn.remoteAddr;
    this.readable = new ReadableStream({
      start: (controller) => {
        socket.on("data", (bytes: Uint8Array) => {
          controller.enqueue(Uint8Array.from(bytes));
          if ((controller.desiredSize ?? 0) <= 0) socket.pause();
        });
        socket.on("end", () => controller.close());
        socket.on("error", (error) => controller.error(error));
        socket.pause();
      },
      pull: () => void socket.resume(),
      cancel: () => void socket.destroy(),
    });
    this.writable = new WritableStream({
      write: (chunk) =>
        new Promise<void>((resolve, reject) => {
          socket.write(Buffer.from(chunk), (error) => error ? reject(error) : resolve());
        }),
      close: () => new Promise<void>((resolve) => socket.end(() => resolve())),
      abort: () => void socket.destroy(),
    });
  }

  /** The connection as a stream of `node:stream`. */
  get duplex(): Duplex {
    return this.#socket;
  }

  /** Closes the connection. */
  close(): void {
    this.#socket.destroy();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Starts TLS over a connection. The connection then belongs to the TLS connection.
 *
 * @throws If the peer's certificate is not for that name, or not signed by a trusted authority.
 */
export async function startTls(conn: TcpConn, options: NetConnectTlsOptions): Promise<TlsConn> {
  const { hostname, caCerts, alpnProtocols, signal } = options;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connectNodeTls({
    socket: new ConnDuplex(conn),
    // SNI carries host names, never addresses (RFC 6066 §3).
    ...(isIP(hostname) ? { host: hostname } : { servername: hostname }),
    ...(caCerts && { ca: [...caCerts] }),
    ...(alpnProtocols && { ALPNProtocols: [...alpnProtocols] }),
  });
  const abort = () => reject(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  socket.once("secureConnect", resolve);
  socket.once("error", reject);
  try {
    await promise;
    return new TlsConn(socket, conn);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
