/**
 * A host of a WireGuard network inside a program, as its users see it: Deno's own shapes.
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
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** Where to connect to by TLS. */
export interface NetConnectTlsOptions extends NetConnectOptions {
  /** Authorities in PEM that are trusted; Deno's own by default. */
  readonly caCerts?: readonly string[];
  /** Protocols to choose from, the preferred one first (ALPN). */
  readonly alpnProtocols?: readonly string[];
}

/** Where to listen. */
export interface NetListenOptions {
  /** 0 for any. */
  readonly port: number;
}

/** How to serve HTTP. */
export interface NetServeOptions extends NetListenOptions {
  /** Ends the server. */
  readonly signal?: AbortSignal;
  /** Answers where the handler has thrown; by default with 500, and the error is printed. */
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
  /** Ends it. Requests that are being answered are answered. */
  shutdown(): Promise<void>;
}

/** A TCP connection through the tunnel. */
export interface NetConn extends Deno.Conn<Deno.NetAddr> {
  /** Closes the connection at once: what was not sent is lost, and the peer gets a reset. */
  abort(): void;
  /** Has no effect: small writes never wait. */
  setNoDelay(noDelay?: boolean): void;
  /** Has no effect: the tunnel notices by itself when its peer is gone. */
  setKeepAlive(keepAlive?: boolean): void;
}

/** A connection through the tunnel that speaks TLS. */
export interface NetTlsConn extends Disposable {
  /** The protocol that was chosen (ALPN); null without one. */
  readonly alpnProtocol: string | null;
  /** What the peer sends. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What is sent to the peer. Closing it ends our side. */
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

/** What a {@linkcode Net} is like now. */
export interface NetState extends DeviceState {
  /** Which sockets carry the tunnel: `node` are those of `node:dgram`. */
  readonly sockets: "node" | "linux";
  /** Connections, those that only wait for late segments included. */
  readonly connections: number;
  /** Bytes in the buffers of connections. */
  readonly bufferedBytes: number;
}

/**
 * A host of a WireGuard network inside this program; `up` makes one. None of its methods touches the machine's own network:
 * what the tunnel does not reach is not reached.
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
   * Opens a TCP connection. A name with several addresses is tried at all of them (RFC 8305).
   *
   * @throws {Deno.errors.ConnectionRefused} If nobody listens there.
   * @throws {Deno.errors.TimedOut} If nobody answers.
   * @throws {Deno.errors.NotFound} If there is no such name.
   */
  connect(options: NetConnectOptions): Promise<NetConn>;
  /**
   * Opens a connection that speaks TLS.
   *
   * @throws As `connect`, and if the peer's certificate is not for `hostname` or is signed by nobody who is trusted.
   */
  connectTls(options: NetConnectTlsOptions): Promise<NetTlsConn>;
  /** As `connect`, as a stream of `node:stream`: for database drivers, `node:tls` and `npm:ws`. */
  duplex(options: NetConnectOptions): Promise<Duplex>;
  /**
   * Deno's `fetch` through the tunnel, for http and https.
   *
   * @throws {TypeError} As `fetch`.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** What carries `fetch`; also for `new WebSocket(url, { client })`. */
  readonly httpClient: Deno.HttpClient;
  /**
   * Accepts TCP connections that come through the tunnel.
   *
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  listen(options: NetListenOptions): NetListener;
  /**
   * Serves HTTP to whoever comes through the tunnel.
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
   * Looks a name up at the DNS servers of the configuration, through the tunnel.
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
  /** Ends the tunnel, and with it everything that goes through it. */
  close(): void;
}

/** What gives up waiting. */
export interface NetSignal {
  /** Gives up. */
  readonly signal?: AbortSignal;
}
