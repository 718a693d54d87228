/**
 * The public API of a tunnel inside a program. It follows Deno's own API.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import type { DeviceState } from "../uapi/get.ts";

/** Where to connect to. */
export interface NetConnectOptions {
  /** A name or an address. */
  readonly hostname: string;
  /** TCP port. */
  readonly port: number;
  /** Aborts the attempt. */
  readonly signal?: AbortSignal;
}

/** Where to connect to by TLS. */
export interface NetConnectTlsOptions extends NetConnectOptions {
  /** Certificates of trusted authorities in PEM. The default is Deno's own. */
  readonly caCerts?: readonly string[];
  /** Protocols to choose from, the preferred one first (ALPN). */
  readonly alpnProtocols?: readonly string[];
}

/** Where to listen. */
export interface NetListenOptions {
  /** TCP port; 0 for any. */
  readonly port: number;
}

/** How to serve HTTP. */
export interface NetServeOptions extends NetListenOptions {
  /** Ends the server. */
  readonly signal?: AbortSignal;
  /** Makes the response if the handler throws. By default it is status 500, and the error is printed. */
  readonly onError?: (error: unknown) => Response | Promise<Response>;
}

/** Answers a request. */
export type NetHandler = (
  request: Request,
  info: { readonly remoteAddr: Deno.NetAddr },
) => Response | Promise<Response>;

/** A server that runs. */
export interface NetServer extends AsyncDisposable {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;
  /** Resolves when it has ended. */
  readonly finished: Promise<void>;
  /** Stops the server. Requests that have begun are finished. */
  shutdown(): Promise<void>;
}

/** A TCP connection through the tunnel. */
export interface NetConn extends Deno.Conn<Deno.NetAddr> {
  /** Closes the connection at once. Unsent data is lost, and the peer receives a reset. */
  abort(): void;
  /** Has no effect, because small writes are never delayed. */
  setNoDelay(noDelay?: boolean): void;
  /**
   * Enables TCP keepalive. A peer that has been silent for two hours is probed. If it does not answer, the connection
   * fails eleven minutes later. Off by default, as in Deno.
   */
  setKeepAlive(keepAlive?: boolean): void;
}

/** A TLS connection through the tunnel. */
export interface NetTlsConn extends Disposable {
  /** The protocol that was chosen (ALPN); null without one. */
  readonly alpnProtocol: string | null;
  /** The bytes that the peer sends. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The bytes to send to the peer. Closing it closes this side of the connection. */
  readonly writable: WritableStream<Uint8Array<ArrayBufferLike>>;
  /** Our end. */
  readonly localAddr: Deno.NetAddr;
  /** The other end. */
  readonly remoteAddr: Deno.NetAddr;
  /** The same as a stream of `node:stream`. */
  readonly duplex: Duplex;
  /** Closes the connection. */
  close(): void;
}

/** Accepts connections that come through the tunnel. */
export interface NetListener extends Deno.Listener<NetConn, Deno.NetAddr> {
  /** Waits for a connection. */
  accept(): Promise<NetConn>;
  /** Every connection, until the listener is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<NetConn>;
}

/** The state of a {@linkcode Net}. */
export interface NetState extends DeviceState {
  /** The sockets that carry the tunnel: `linux` is Linux's own, `node` is `node:dgram`. */
  readonly sockets: "node" | "linux";
  /** The number of connections, including those in TIME-WAIT. */
  readonly connections: number;
  /** Bytes in the buffers of connections. */
  readonly bufferedBytes: number;
}

/**
 * A host of a WireGuard network inside this program; `up` makes one. All of its methods use only the tunnel, never the
 * machine's own network.
 *
 * @example A page of a server behind the tunnel
 * ```ts ignore
 * import { up } from "@wgd/wgd";
 *
 * await using net = await up("client.conf");
 * const response = await net.fetch("http://10.8.0.1/");
 * console.log(await response.text());
 * ```
 */
export interface Net extends AsyncDisposable {
  /**
   * Opens a TCP connection. If a name has several addresses, all of them are tried (RFC 8305).
   *
   * @throws {Deno.errors.ConnectionRefused} If nobody listens there.
   * @throws {Deno.errors.TimedOut} If nobody answers.
   * @throws {Deno.errors.NotFound} If there is no such name.
   */
  connect(options: NetConnectOptions): Promise<NetConn>;
  /**
   * Opens a TLS connection.
   *
   * @throws As `connect`, and if the peer's certificate is not valid for `hostname` or not signed by a trusted
   * authority.
   */
  connectTls(options: NetConnectTlsOptions): Promise<NetTlsConn>;
  /** Like `connect`, but returns a stream of `node:stream`, for database drivers, `node:tls` and `npm:ws`. */
  duplex(options: NetConnectOptions): Promise<Duplex>;
  /**
   * Deno's `fetch` through the tunnel, for http and https.
   *
   * @throws {TypeError} As `fetch`.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** The HTTP client that `fetch` uses. It can also be passed to `new WebSocket(url, { client })`. */
  readonly httpClient: Deno.HttpClient;
  /**
   * Accepts TCP connections that come through the tunnel.
   *
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  listen(options: NetListenOptions): NetListener;
  /**
   * Serves HTTP to clients in the tunnel.
   *
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  serve(options: NetServeOptions, handler: NetHandler): NetServer;
  /**
   * Opens a UDP port.
   *
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  listenDatagram(options: NetListenOptions): Deno.DatagramConn;
  /**
   * Looks up a name at the DNS servers of the configuration, through the tunnel.
   *
   * @returns What `Deno.resolveDns` returns for that type.
   * @throws {Deno.errors.NotFound} If there is no such record.
   */
  resolveDns(
    name: string,
    type: "A" | "AAAA" | "CNAME" | "NS" | "PTR",
    options?: NetSignal,
  ): Promise<string[]>;
  /** Looks up records of other types. */
  resolveDns(
    name: string,
    type: "CAA" | "MX" | "NAPTR" | "SOA" | "SRV" | "TXT",
    options?: NetSignal,
  ): Promise<unknown[]>;
  /**
   * Sends an ICMP echo request.
   *
   * @returns Milliseconds until the answer.
   * @throws The signal's reason. Without a signal it gives up after five seconds.
   */
  ping(hostname: string, options?: NetSignal): Promise<number>;
  /** Reads peers, endpoints and transfer, as `Client.get` does, and what the tunnel has in memory. */
  state(): Promise<NetState>;
  /** Closes the tunnel and everything that uses it. */
  close(): void;
}

/** An option with a signal that aborts the operation. */
export interface NetSignal {
  /** Aborts the attempt. */
  readonly signal?: AbortSignal;
}
