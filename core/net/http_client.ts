/**
 * Deno's own `fetch` and `WebSocket` through the tunnel, over a SOCKS5 proxy on loopback. Only this program knows the proxy's
 * password. The proxy looks names up through the tunnel and never uses the machine's network.
 *
 * @module
 */

import { Socks5 } from "../proxy/socks5.ts";
import type { TcpConn } from "./conn.ts";
import { accepted, closeQuietly, converse, refusalOf, relay, writeAll } from "./relay.ts";

/** Opens a connection through the tunnel. */
export type Connect = (options: { hostname: string; port: number; signal?: AbortSignal }) => Promise<TcpConn>;

/** The proxy, and the client that uses it. */
export class HttpClient implements Disposable {
  /** For `fetch(url, { client })`. */
  readonly client: Deno.HttpClient;
  readonly #listener: Deno.TcpListener;
  readonly #connect: Connect;
  readonly #password = crypto.randomUUID();
  readonly #open = new Set<Deno.TcpConn>();

  /** @param caCerts Certificates of authorities in PEM that are trusted as well as Deno's. */
  constructor(connect: Connect, caCerts: readonly string[] = []) {
    this.#connect = connect;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#listener.unref();
    const { port } = this.#listener.addr;
    this.client = Deno.createHttpClient({
      proxy: { url: `socks5h://wgd:${this.#password}@127.0.0.1:${port}` },
      caCerts: [...caCerts],
    });
    this.#serve().catch(() => {});
  }

  async #serve(): Promise<void> {
    for await (const program of accepted(this.#listener, () => {})) {
      this.#open.add(program);
      this.#relay(program).catch(() => {}).finally(() => {
        this.#open.delete(program);
        closeQuietly(program);
      });
    }
  }

  async #relay(program: Deno.TcpConn): Promise<void> {
    const socks = new Socks5({ user: "wgd", password: this.#password });
    const request = await converse(program, socks);
    if (!request || request.kind !== "connect") return;
    let conn: TcpConn;
    try {
      const { host, port } = request.target;
      conn = await this.#connect({ hostname: host, port });
    } catch (error) {
      await writeAll(program, socks.refused(refusalOf(error)));
      return;
    }
    using _conn = conn;
    await writeAll(program, socks.granted({ host: "0.0.0.0", port: 0 }));
    await writeAll(conn, request.first);
    await relay(program, conn);
  }

  /** Ends the proxy and all of its connections. */
  [Symbol.dispose](): void {
    this.#listener.close();
    this.client.close();
    for (const program of this.#open) closeQuietly(program);
  }
}
