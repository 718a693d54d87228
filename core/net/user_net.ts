/**
 * A host of a WireGuard network inside this program: connections, listeners and name lookups. They do not use the machine's
 * own network.
 *
 * @module
 */

import { parseAddress } from "../config/address.ts";
import { type Diagnostics, DIAGNOSTICS_REQUEST, parseDiagnostics } from "../uapi/diagnostics.ts";
import { type DeviceState, parseGet } from "../uapi/get.ts";
import type {
  Net,
  NetConnectOptions,
  NetConnectTlsOptions,
  NetHandler,
  NetListenOptions,
  NetServeOptions,
  NetServer,
  NetSignal,
  NetState,
} from "./api.ts";
import { errorOf, netAddr, TcpConn } from "./conn.ts";
import { DatagramConn } from "./datagram.ts";
import { DnsError, Resolver } from "./dns/resolver.ts";
import type { DnsRecord, RecordType } from "./dns/message.ts";
import { TunnelDns } from "./dns/transport.ts";
import { ConnDuplex } from "./duplex.ts";
import type { Family } from "../config/proxy_rules.ts";
import { firstOf, interleave } from "./happy_eyeballs.ts";
import { HttpClient } from "./http_client.ts";
import { serveHttp } from "./http_server.ts";
import type { Endpoint } from "./ip.ts";
import type { IpHost, IpHostDrops } from "./ip_host.ts";
import { TcpListener } from "./listener.ts";
import type { StreamSockets } from "./local_conn.ts";
import { startTls, type TlsConn } from "./tls.ts";
import { TooManyConnections } from "./too_many_connections.ts";
import { CONNECTED } from "../../wasm/tcp.ts";

/** The tunnel below a {@linkcode UserNet}. */
export interface NetParts {
  readonly host: IpHost;
  readonly addresses: readonly Uint8Array[];
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** Sends the engine a request of UAPI. */
  readonly ask: (request: Iterable<string>) => Promise<string>;
  /** The sockets that carry the tunnel: `linux` is Linux's own, `node` is `node:dgram`. */
  readonly sockets: "node" | "linux";
  /** Linux's own sockets for the programs of this machine, if they may be used. */
  readonly streams?: StreamSockets | undefined;
  /** Certificates of authorities in PEM that HTTP trusts in addition to Deno's. */
  readonly caCerts: readonly string[];
  /** The address family that is tried first for a name that has both. */
  readonly prefer: Family | undefined;
  /** Begins handshakes with the peers that have an endpoint. */
  readonly greet: () => void;
  /** Closes the tunnel. Resolves when everything is released. */
  readonly end: () => Promise<void>;
}

/** All counters of a tunnel. */
export interface Readings {
  readonly state: DeviceState;
  readonly diagnostics: Diagnostics;
  /** The number of connections, including those in TIME-WAIT. */
  readonly connections: number;
  /** Bytes in the buffers of connections. */
  readonly bufferedBytes: number;
  /** The number of packets that the host dropped, by reason. */
  readonly hostDrops: Readonly<IpHostDrops>;
}

/** Something that ends with the tunnel. */
interface Losable {
  lose(error: Error): void;
}

/** What `up` makes. */
export class UserNet implements Net {
  readonly #parts: NetParts;
  readonly #resolver: Resolver;
  /** The address families of the tunnel's addresses. */
  readonly families: ReadonlySet<Family>;
  readonly #open = new Set<Losable>();
  #closed: Error | null = null;
  #ended = Promise.resolve();
  #http: HttpClient | null = null;
  readonly #forget = (conn: TcpConn) => void this.#open.delete(conn);

  /** `up` calls this. */
  constructor(parts: NetParts) {
    this.#parts = parts;
    this.families = new Set(parts.addresses.map(({ length }) => length === 4 ? "ipv4" : "ipv6"));
    const dns = new TunnelDns(parts.host, (remote, signal) => this.#connectTo(remote, signal));
    this.#resolver = new Resolver(dns, parts);
  }

  /**
   * Connects to a host.
   *
   * @param opened Called once with the connection, if possible before the handshake is acknowledged. What it writes
   * leaves together with that acknowledgement.
   */
  async connect(
    { hostname, port, signal }: NetConnectOptions,
    opened: (conn: TcpConn) => void = () => {},
  ): Promise<TcpConn> {
    const addresses = await this.#addressesOf(hostname, signal);
    const [address] = addresses;
    if (addresses.length === 1) return await this.#connectTo({ address: address!, port }, signal, opened);
    const conn = await firstOf(
      addresses,
      (address, signal) => this.#connectTo({ address, port }, signal),
      (conn) => conn.close(),
      signal,
    );
    opened(conn);
    return conn;
  }

  /** Linux's own sockets for the programs of this machine, if they may be used. */
  get streams(): StreamSockets | undefined {
    return this.#parts.streams;
  }

  /** The address family that is tried first for a name that has both; by default that of RFC 8305, which is IPv6. */
  get prefer(): Family | undefined {
    return this.#parts.prefer;
  }

  async duplex(options: NetConnectOptions): Promise<ConnDuplex> {
    return new ConnDuplex(await this.connect(options));
  }

  async connectTls(options: NetConnectTlsOptions): Promise<TlsConn> {
    return await startTls(await this.connect(options), options);
  }

  fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    return fetch(input, { ...init, client: this.httpClient } as RequestInit);
  }

  get httpClient(): Deno.HttpClient {
    this.#assertOpen();
    this.#http ??= new HttpClient((options) => this.connect(options), this.#parts.caCerts);
    return this.#http.client;
  }

  serve(options: NetServeOptions, handler: NetHandler): NetServer {
    return serveHttp(this.listen(options), handler, options);
  }

  listen({ port }: NetListenOptions): TcpListener {
    this.#assertOpen();
    const { host, addresses } = this.#parts;
    const bound = port || host.freeListenPort();
    const listener: TcpListener = new TcpListener(
      netAddr("tcp", { address: addresses[0]!, port: bound }),
      {
        accept: () => this.#accept(bound),
        unlisten: () => {
          host.unlisten(bound);
          this.#open.delete(listener);
        },
      },
    );
    if (!host.listen(bound, () => listener.handle())) {
      throw new Deno.errors.AddrInUse(`TCP port ${bound} of the tunnel is in use`);
    }
    this.#open.add(listener);
    return listener;
  }

  listenDatagram({ port }: NetListenOptions): DatagramConn {
    this.#assertOpen();
    const { host, addresses } = this.#parts;
    const conn = new DatagramConn(host, addresses[0]!, port, (conn) => this.#open.delete(conn));
    this.#open.add(conn);
    return conn;
  }

  async resolveDns(
    name: string,
    type: "A" | "AAAA" | "CNAME" | "NS" | "PTR",
    options?: NetSignal,
  ): Promise<string[]>;
  /** The same for records of other types. */
  async resolveDns(name: string, type: RecordType, options?: NetSignal): Promise<unknown[]>;
  async resolveDns(
    name: string,
    type: RecordType,
    { signal }: NetSignal = {},
  ): Promise<unknown[]> {
    return (await this.#resolve(name, type, signal)).map(({ data }) => data);
  }

  async ping(
    hostname: string,
    { signal = AbortSignal.timeout(5_000) }: NetSignal = {},
  ): Promise<number> {
    const [address] = await this.#addressesOf(hostname, signal);
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const begun = performance.now();
    const forget = this.#parts.host.ping(address!, 1, new Uint8Array(56), () => resolve());
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
      return performance.now() - begun;
    } finally {
      signal.removeEventListener("abort", abort);
      forget();
    }
  }

  async state(): Promise<NetState> {
    const { ask, sockets, host } = this.#parts;
    const device = parseGet(await ask(["get=1\n\n"]));
    const { connections, bytes } = host.usage;
    return { ...device, sockets, connections, bufferedBytes: bytes };
  }

  /** Reads the state and all counters. */
  async readings(): Promise<Readings> {
    const { ask, host } = this.#parts;
    const reply = await ask([DIAGNOSTICS_REQUEST]);
    const { connections, bytes: bufferedBytes } = host.usage;
    return {
      state: parseGet(reply),
      diagnostics: parseDiagnostics(reply)!,
      connections,
      bufferedBytes,
      hostDrops: host.drops,
    };
  }

  /** Begins handshakes with the peers that have an endpoint, so that sessions exist before packets are sent. */
  greet(): void {
    if (!this.#closed) this.#parts.greet();
  }

  /**
   * Waits until everything that was written has been acknowledged.
   *
   * @param signal Ends the wait.
   */
  async flushed(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#closed && this.#parts.host.usage.bytes > 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = new Deno.errors.ConnectionAborted("the tunnel was closed");
    for (const open of this.#open) open.lose(this.#closed);
    this.#open.clear();
    this.#http?.[Symbol.dispose]();
    this.#ended = this.#parts.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#ended;
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closed;
  }

  #accept(port: number): TcpConn | null {
    const { host } = this.#parts;
    const id = host.accept(port);
    if (id === null) return null;
    const conn = new TcpConn(host, id, this.#forget);
    this.#open.add(conn);
    return conn;
  }

  /** Opens a connection to an address. @param opened As for `connect`. */
  async #connectTo(
    remote: Endpoint,
    signal?: AbortSignal,
    opened: (conn: TcpConn) => void = () => {},
  ): Promise<TcpConn> {
    this.#assertOpen();
    signal?.throwIfAborted();
    const { host } = this.#parts;
    const { promise, resolve, reject } = Promise.withResolvers<TcpConn>();
    let conn: TcpConn | undefined;
    const handle = (bits: number) => {
      const failure = host.tcp.state(id as number)?.failure;
      if (failure) return reject(errorOf(failure, netAddr("tcp", remote)));
      // Not the state: a peer may have ended its stream already.
      if (!(bits & CONNECTED) || signal?.aborted) return;
      // It attends to its events itself, so that nothing here is needed as long as it exists.
      conn = new TcpConn(host, id as number, this.#forget);
      this.#open.add(conn);
      opened(conn);
      resolve(conn);
    };
    const id = host.connect(remote, { handle });
    if (typeof id === "string") throw refusalOf(id);
    const opening: Losable = { lose: reject };
    this.#open.add(opening);
    const abort = () => reject(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return await promise;
    } finally {
      this.#open.delete(opening);
      signal?.removeEventListener("abort", abort);
      if (!conn && !this.#closed) {
        host.tcp.abort(id);
        host.release(id);
      }
    }
  }

  /** The addresses of a name, of the families that the tunnel has, in the order in which to try them. */
  async #addressesOf(hostname: string, signal?: AbortSignal): Promise<Uint8Array[]> {
    const literal = parseAddress(hostname.replace(/^\[(.*)\]$/, "$1"));
    if (literal) return [literal];
    const types = ([["AAAA", "ipv6"], ["A", "ipv4"]] as const).filter(([, family]) =>
      this.families.has(family)
    );
    const answers = await Promise.allSettled(types.map(([type]) => this.#resolve(hostname, type, signal)));
    const [v6, v4] = (["AAAA", "A"] as const).map((type) => {
      const answer = answers[types.findIndex(([other]) => other === type)];
      return answer?.status === "fulfilled"
        ? answer.value.map(({ data }) => parseAddress(data as string)!)
        : [];
    });
    const addresses = this.prefer === "ipv4" ? interleave(v4!, v6!) : interleave(v6!, v4!);
    if (addresses.length > 0) return addresses;
    throw answers.find((answer) => answer.status === "rejected")?.reason ??
      new Deno.errors.NotFound(`"${hostname}" has no address`);
  }

  async #resolve(name: string, type: RecordType, signal?: AbortSignal): Promise<DnsRecord[]> {
    this.#assertOpen();
    try {
      return await this.#resolver.resolve(name, type, signal);
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      const kind = error.kind === "not found" ? Deno.errors.NotFound : Deno.errors.NetworkUnreachable;
      throw new kind(error.message, { cause: error });
    }
  }
}

function refusalOf(refusal: "in use" | "too many" | "unusable"): Error {
  switch (refusal) {
    case "in use":
      return new Deno.errors.AddrInUse("all ports of the tunnel's address are in use for this endpoint");
    case "too many":
      return new TooManyConnections();
    case "unusable":
      return new TypeError("it is not possible to connect to this address");
  }
}
