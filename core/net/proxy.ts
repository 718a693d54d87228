/**
 * A proxy into a tunnel: programs connect to it on this machine, and their connections go through the tunnel; or the other
 * way round.
 *
 * @module
 */

import type { Log } from "../log.ts";
import type { ProxyHandshake, Target } from "../proxy/handshake.ts";
import { HttpProxy } from "../proxy/http.ts";
import type { Forward, Listening } from "../proxy/rules.ts";
import { Socks5 } from "../proxy/socks5.ts";
import type { Credentials } from "../proxy/handshake.ts";
import type { Net } from "./api.ts";
import { accepted, type ByteStream, closeQuietly, converse, refusalOf, relay, writeAll } from "./relay.ts";
import { UdpAssociation } from "./udp_associate.ts";

/** Milliseconds that a program has to say what it wants. */
const HANDSHAKE_TIMEOUT = 30_000;
/** Programs at once that have not said what they want; more are hung up on. */
const MAX_HANDSHAKES = 1_024;

/** What a proxy does. */
export interface ProxyRules {
  readonly socks5: readonly Listening[];
  readonly http: readonly Listening[];
  readonly forwards: readonly Forward[];
  /** Ports of the tunnel's address whose connections go to this machine, or to what it reaches. */
  readonly reverses: readonly { readonly port: number; readonly to: Target }[];
  readonly credentials?: Credentials;
}

/** A proxy that runs. */
export class Proxy implements Disposable {
  readonly #net: Net;
  readonly #log: Log;
  readonly #listeners: { close(): void }[] = [];
  readonly #open = new Set<{ close(): void }>();
  #handshakes = 0;

  private constructor(net: Net, log: Log) {
    this.#net = net;
    this.#log = log;
  }

  /**
   * Begins to listen, everywhere or nowhere.
   *
   * @throws {Deno.errors.AddrInUse} If a port is taken.
   */
  static start(net: Net, rules: ProxyRules, log: Log): Proxy {
    const proxy = new Proxy(net, log);
    try {
      const { credentials } = rules;
      for (const at of rules.socks5) {
        proxy.#serve(at, (program) => proxy.#proxied(program, new Socks5(credentials)));
      }
      for (const at of rules.http) {
        proxy.#serve(at, (program) => proxy.#proxied(program, new HttpProxy(credentials)));
      }
      for (const { from, to } of rules.forwards) proxy.#serve(from, (program) => proxy.#forward(program, to));
      for (const { port, to } of rules.reverses) proxy.#reverse(port, to);
      return proxy;
    } catch (error) {
      proxy[Symbol.dispose]();
      throw error;
    }
  }

  /** Ends it, and all that goes through it. */
  [Symbol.dispose](): void {
    for (const listener of this.#listeners) closeQuietly(listener);
    for (const conn of this.#open) closeQuietly(conn);
  }

  #serve(at: Listening, serve: (program: Deno.TcpConn) => Promise<void>): void {
    const listener = Deno.listen(at);
    this.#listeners.push(listener);
    const connections = accepted(
      listener,
      ({ message }) =>
        this.#log("error", `no connections to port ${at.port} are accepted for now: ${message}`),
    );
    this.#each(connections, serve);
  }

  #reverse(port: number, to: Target): void {
    const listener = this.#net.listen({ port });
    this.#listeners.push(listener);
    this.#each(listener, async (peer) => {
      const conn = this.#track(await Deno.connect({ hostname: to.host, port: to.port }));
      await relay(peer, conn).finally(() => this.#end(conn));
    });
  }

  /** Serves every connection of a listener; what becomes of one is nothing to the others. */
  async #each<Conn extends ByteStream & { close(): void }>(
    listener: AsyncIterable<Conn>,
    serve: (conn: Conn) => Promise<void>,
  ): Promise<void> {
    try {
      for await (const conn of listener) {
        this.#track(conn);
        serve(conn).catch((error) => this.#log("debug", `a connection ended: ${(error as Error).message}`))
          .finally(() => this.#end(conn));
      }
    } catch (error) {
      this.#log("error", `a listener ended: ${(error as Error).message}`);
    }
  }

  #track<Conn extends { close(): void }>(conn: Conn): Conn {
    this.#open.add(conn);
    return conn;
  }

  #end(conn: { close(): void }): void {
    this.#open.delete(conn);
    closeQuietly(conn);
  }

  async #forward(program: Deno.TcpConn, to: Target): Promise<void> {
    using conn = await this.#net.connect({ hostname: to.host, port: to.port });
    await relay(program, conn);
  }

  async #proxied(program: Deno.TcpConn, handshake: ProxyHandshake): Promise<void> {
    if (this.#handshakes >= MAX_HANDSHAKES) return;
    this.#handshakes++;
    // Whoever says nothing, or one byte an hour, is hung up on.
    const timer = setTimeout(() => closeQuietly(program), HANDSHAKE_TIMEOUT);
    const request = await converse(program, handshake).finally(() => {
      clearTimeout(timer);
      this.#handshakes--;
    });
    if (!request) return;
    if (request.kind === "associate") return await this.#associate(program, handshake);
    const { host, port } = request.target;
    let conn;
    try {
      conn = await this.#net.connect({ hostname: host, port });
    } catch (error) {
      return await writeAll(program, handshake.refused(refusalOf(error)));
    }
    using _conn = conn;
    await writeAll(program, handshake.granted({ host: conn.localAddr.hostname, port: conn.localAddr.port }));
    await writeAll(conn, request.first);
    await relay(program, conn);
  }

  /** Datagrams pass for as long as the program's connection is open. */
  async #associate(program: Deno.TcpConn, handshake: ProxyHandshake): Promise<void> {
    const { localAddr, remoteAddr } = program;
    let association: UdpAssociation;
    try {
      association = await UdpAssociation.open(this.#net, localAddr.hostname, remoteAddr.hostname);
    } catch (error) {
      return await writeAll(program, handshake.refused(refusalOf(error)));
    }
    using _association = association;
    await writeAll(program, handshake.granted(association.bound));
    const buffer = new Uint8Array(1_024);
    while (await program.read(buffer) !== null);
  }
}
