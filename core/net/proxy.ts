/**
 * A proxy into a tunnel. Programs connect to it on this machine, and it connects through the tunnel. For a reverse port it is
 * the other way round.
 *
 * @module
 */

import { formatListening, type Listening, type Reverse, type Target } from "../config/proxy_rules.ts";
import type { Log } from "../log.ts";
import type { ProxyHandshake } from "../proxy/handshake.ts";
import { HttpProxy } from "../proxy/http.ts";
import type { ProxyRules } from "../proxy/rules.ts";
import { SniProxy } from "../proxy/sni.ts";
import { Socks5 } from "../proxy/socks5.ts";
import type { TcpConn } from "./conn.ts";
import { type HalfOpen, HalfOpenPrograms } from "./half_open.ts";
import type { LocalConn } from "./local_conn.ts";
import { listenLocally, type LocalListener } from "./local_listener.ts";
import { noConnections, type ProxyCounters, type ProxyKind } from "./proxy_counters.ts";
import {
  accepted,
  type ByteStream,
  closeQuietly,
  converse,
  EarlyReader,
  refusalOf,
  Relay,
  writeAll,
} from "./relay.ts";
import { UdpAssociation } from "./udp_associate.ts";
import { forwardUdp, reverseUdp, type UdpForwarding } from "./udp_flows.ts";
import type { UserNet } from "./user_net.ts";

/** Limits of a proxy. */
export interface ProxyLimits {
  /**
   * The maximum number of programs whose connection is not established yet. One more replaces the one that has waited
   * longest.
   *
   * @default {1024}
   */
  readonly halfOpen?: number;
  /**
   * Milliseconds that a program has for its request, and again for its connection to be established.
   *
   * @default {30000}
   */
  readonly patience?: number;
  /**
   * The maximum number of programs that use UDP through SOCKS5.
   *
   * @default {1024}
   */
  readonly associations?: number;
}

/** A connection of a program, or of a host behind the tunnel. */
type Conn = ByteStream & { close(): void; abort?(): void };

/** What to copy between once both connections are established. */
interface Pair {
  /** The one that was accepted, or what remains to be read of it. */
  readonly from: ByteStream;
  /** The one that was made for it. */
  readonly to: Conn;
}

/** A connection through the tunnel. */
interface Connected {
  readonly conn: TcpConn;
  /** Resolves when what was to leave with the acknowledgement has been written. */
  readonly written: Promise<unknown> | undefined;
}

/** A running proxy. */
export class Proxy implements Disposable {
  readonly #net: UserNet;
  readonly #log: Log;
  readonly #listeners: { close(): void }[] = [];
  /** The listeners: those of SOCKS5, of HTTP, of SNI, of forwards, then those for other processes of this user. */
  readonly listening: Listening[] = [];
  readonly #udp: UdpForwarding[] = [];
  readonly #open = new Set<{ close(): void }>();
  readonly #halfOpen: HalfOpenPrograms;
  /**
   * Half-open connections of hosts behind the tunnel. They are counted separately, so that they cannot replace
   * programs.
   */
  readonly #halfOpenPeers: HalfOpenPrograms;
  readonly #maxAssociations: number;
  readonly #counts = noConnections();
  #associations = 0;
  /** Established connections. */
  #standing = 0;
  /** Called when the last connection has ended. */
  #unused: (() => void) | undefined;

  private constructor(net: UserNet, log: Log, limits: ProxyLimits) {
    const { halfOpen = 1_024, patience = 30_000, associations = 1_024 } = limits;
    this.#net = net;
    this.#log = log;
    this.#halfOpen = new HalfOpenPrograms(halfOpen, patience);
    this.#halfOpenPeers = new HalfOpenPrograms(halfOpen, patience);
    this.#maxAssociations = associations;
  }

  /**
   * Begins to listen on all ports. If one fails, it listens on none.
   *
   * @throws {Deno.errors.AddrInUse} If a port is taken.
   */
  static async start(net: UserNet, rules: ProxyRules, log: Log, limits: ProxyLimits = {}): Promise<Proxy> {
    const proxy = new Proxy(net, log, limits);
    try {
      for (const rule of rules.socks5) {
        proxy.#serveHandshakes(
          "socks5",
          await listenLocally(rule, net.streams),
          () => new Socks5(rule.credentials),
        );
      }
      for (const rule of rules.http) {
        proxy.#serveHandshakes(
          "http",
          await listenLocally(rule, net.streams),
          () => new HttpProxy(rule.credentials),
        );
      }
      for (const rule of rules.sni) {
        proxy.#serveHandshakes("sni", await listenLocally(rule, net.streams), () => new SniProxy());
      }
      for (const { from, to } of rules.forwards) {
        const listener = await listenLocally({ at: from }, net.streams);
        proxy.#serve("forward", listener, (program, waiting) => proxy.#forward(program, waiting, to));
      }
      for (const reverse of rules.reverses) proxy.#reverse(reverse);
      for (const forward of rules.udpForwards) proxy.#udp.push(await forwardUdp(net, forward));
      for (const reverse of rules.udpReverses) proxy.#udp.push(reverseUdp(net, reverse));
      return proxy;
    } catch (error) {
      proxy[Symbol.dispose]();
      throw error;
    }
  }

  /** Lets other processes of this user connect through the tunnel with SOCKS5. @param door A Unix socket. */
  serveOthers(door: LocalListener): void {
    this.#serveHandshakes("socks5", door, () => new Socks5());
  }

  /** What it has counted until now. */
  get counters(): ProxyCounters {
    return {
      ...this.#counts,
      halfOpen: this.#halfOpen.count + this.#halfOpenPeers.count,
      hungUp: this.#halfOpen.hungUp + this.#halfOpenPeers.hungUp,
      associations: this.#associations,
      udpFlows: this.#udp.reduce((sum, { flows }) => sum + flows, 0),
    };
  }

  /** The number of established connections. */
  get standing(): number {
    return this.#standing;
  }

  /**
   * Stops accepting, and lets established connections finish.
   *
   * @param signal Ends the wait for them.
   */
  async finish(signal: AbortSignal): Promise<void> {
    for (const listener of this.#listeners) closeQuietly(listener);
    this.#hangUp();
    await this.unused(signal);
  }

  /**
   * Waits until no program is connected. Connections are still accepted.
   *
   * @param signal Ends the wait.
   */
  async unused(signal: AbortSignal): Promise<void> {
    if (this.#inUse === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#unused = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Ends the proxy and all of its connections. */
  [Symbol.dispose](): void {
    for (const listener of this.#listeners) closeQuietly(listener);
    for (const udp of this.#udp) udp.close();
    this.#hangUp();
    for (const conn of this.#open) closeQuietly(conn);
  }

  /** The number of established connections, and of programs that wait for one. */
  get #inUse(): number {
    return this.#standing + this.#halfOpen.count + this.#halfOpenPeers.count;
  }

  /** Disconnects the programs whose connection is not established yet. */
  #hangUp(): void {
    this.#halfOpen.close();
    this.#halfOpenPeers.close();
  }

  #serveHandshakes(
    kind: "socks5" | "http" | "sni",
    listener: LocalListener,
    handshake: () => ProxyHandshake,
  ): void {
    const { at } = listener;
    this.#serve(kind, listener, (program, waiting) => this.#proxied(program, waiting, handshake(), at));
  }

  #serve(
    kind: ProxyKind,
    listener: LocalListener,
    serve: (program: LocalConn, waiting: HalfOpen) => Promise<Pair | void>,
  ): void {
    this.#listeners.push(listener);
    this.listening.push(listener.at);
    const connections = accepted(
      listener,
      ({ message }) =>
        this.#log(
          "error",
          `${formatListening(listener.at)} cannot accept connections at the moment: ${message}`,
        ),
    );
    this.#each(kind, connections, serve);
  }

  #reverse({ port, to }: Reverse): void {
    const listener = this.#net.listen({ port });
    this.#listeners.push(listener);
    this.#each("reverse", listener, async (peer, waiting) => {
      peer.setKeepAlive();
      const options: Deno.ConnectOptions | Deno.UnixConnectOptions = "path" in to
        ? { transport: "unix", path: to.path }
        : { hostname: to.host, port: to.port };
      waiting.connecting();
      let conn: Deno.Conn;
      try {
        conn = await Deno.connect(options as Deno.ConnectOptions);
      } catch (error) {
        this.#refuse(error);
        // A reset shows the peer that the connection failed. An end of stream would not.
        return peer.abort();
      }
      return { from: peer, to: conn };
    });
  }

  /** Serves every connection of a listener. A failure of one does not affect the others. */
  async #each<C extends Conn>(
    kind: ProxyKind,
    connections: AsyncIterable<C>,
    serve: (conn: C, waiting: HalfOpen) => Promise<Pair | void>,
  ): Promise<void> {
    const count = this.#counts.connections[kind];
    try {
      for await (const conn of connections) {
        count.accepted++;
        count.open++;
        this.#open.add(conn);
        const waiting = (kind === "reverse" ? this.#halfOpenPeers : this.#halfOpen).enter(conn);
        const left = (error?: unknown) => {
          if (error) this.#log("debug", `a connection ended: ${(error as Error).message}`);
          count.open--;
          waiting[Symbol.dispose]();
          this.#end(conn, error);
        };
        serve(conn, waiting).then((pair) => pair ? this.#relay(waiting, pair, left) : left()).catch(left);
      }
    } catch (error) {
      this.#log("error", `a listener ended: ${(error as Error).message}`);
    }
  }

  /** @param error If it has failed: the other end learns of it by a reset. */
  #end(conn: { close(): void; abort?(): void }, error?: unknown): void {
    this.#open.delete(conn);
    if (conn.abort && error && !(error instanceof Deno.errors.BadResource)) conn.abort();
    else closeQuietly(conn);
    if (this.#inUse === 0) this.#unused?.();
  }

  /** Copies both ways, for as long as it takes. Nothing waits meanwhile, as there may be very many. */
  #relay(waiting: HalfOpen, { from, to }: Pair, left: (error?: unknown) => void): void {
    this.#open.add(to);
    this.#standing++;
    waiting[Symbol.dispose]();
    new Relay(from, to, (error) => {
      this.#standing--;
      this.#end(to, error);
      left(error);
    });
  }

  async #stand(waiting: HalfOpen, work: () => Promise<void>): Promise<void> {
    waiting[Symbol.dispose]();
    this.#standing++;
    try {
      await work();
    } finally {
      this.#standing--;
      if (this.#inUse === 0) this.#unused?.();
    }
  }

  /** @param opened Writes what can leave together with the acknowledgement of the handshake. */
  async #connect(
    { host, port }: Target,
    waiting: HalfOpen,
    opened: (conn: TcpConn) => Promise<unknown>,
  ): Promise<Connected> {
    waiting.connecting();
    let written: Promise<unknown> | undefined;
    const conn = await this.#net.connect({ hostname: host, port, signal: waiting.signal }, (conn) => {
      conn.setKeepAlive();
      written = opened(conn);
    });
    return { conn, written };
  }

  async #forward(program: LocalConn, waiting: HalfOpen, to: Target): Promise<Pair | void> {
    const early = new EarlyReader(program);
    let connected;
    try {
      connected = await this.#connect(to, waiting, (conn) => writeAll(conn, early.take()));
    } catch (error) {
      return void this.#refuse(error);
    }
    const conn = await afterwards(connected);
    return { from: early.rest, to: conn };
  }

  async #proxied(
    program: LocalConn,
    waiting: HalfOpen,
    handshake: ProxyHandshake,
    at: Listening,
  ): Promise<Pair | void> {
    const request = await converse(program, handshake);
    if (!request) return;
    if (request.kind === "associate") return await this.#associate(program, waiting, handshake, at);
    let connected;
    try {
      connected = await this.#connect(request.target, waiting, (conn) => {
        const { hostname, port } = conn.localAddr;
        const reply = handshake.granted({ host: hostname, port });
        return Promise.all([writeAll(program, reply), writeAll(conn, request.first)]);
      });
    } catch (error) {
      return await writeAll(program, handshake.refused(this.#refuse(error)));
    }
    return { from: program, to: await afterwards(connected) };
  }

  /** Forwards datagrams while the program's connection is open. */
  async #associate(
    program: LocalConn,
    waiting: HalfOpen,
    handshake: ProxyHandshake,
    at: Listening,
  ): Promise<void> {
    let association: UdpAssociation;
    try {
      if (this.#associations >= this.#maxAssociations) throw new Error("too many programs use UDP");
      // A program that uses a Unix socket is on this machine, so its datagrams come from loopback.
      const [local, client] = "path" in at
        ? ["127.0.0.1", "127.0.0.1"]
        : [program.localAddr, program.remoteAddr].map((address) => (address as Deno.NetAddr).hostname);
      this.#associations++;
      association = await UdpAssociation.open(this.#net, local!, client!).catch((error) => {
        this.#associations--;
        throw error;
      });
    } catch (error) {
      return await writeAll(program, handshake.refused(this.#refuse(error)));
    }
    try {
      using _association = association;
      await writeAll(program, handshake.granted(association.bound));
      await this.#stand(waiting, async () => {
        const buffer = new Uint8Array(1_024);
        while (await program.read(buffer) !== null);
      });
    } finally {
      this.#associations--;
    }
  }

  /** Counts a refused request. @returns The reply to the program. */
  #refuse(error: unknown): ReturnType<typeof refusalOf> {
    const why = refusalOf(error);
    this.#counts.refused[why]++;
    return why;
  }
}

/** The connection, after its first bytes have been written. It is closed if they cannot be. */
async function afterwards({ conn, written }: Connected): Promise<TcpConn> {
  try {
    await written;
    return conn;
  } catch (error) {
    conn.abort();
    throw error;
  }
}
