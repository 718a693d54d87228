/**
 * Deno's own `fetch` and `WebSocket` through the tunnel: by a SOCKS5 proxy on loopback that only this program can use, since
 * nobody else knows its password. Names are looked up by the tunnel, and nothing is ever asked of the machine's network.
 *
 * @module
 */

import type { ProxyRequest, Refusal } from "../proxy/handshake.ts";
import { Socks5 } from "../proxy/socks5.ts";
import type { TcpConn } from "./conn.ts";

/** Opens a connection through the tunnel. */
export type Connect = (options: { hostname: string; port: number; signal?: AbortSignal }) => Promise<TcpConn>;

/** The proxy, and the client that goes through it. */
export class HttpClient implements Disposable {
  /** For `fetch(url, { client })`. */
  readonly client: Deno.HttpClient;
  readonly #listener: Deno.TcpListener;
  readonly #connect: Connect;
  readonly #password = crypto.randomUUID();
  readonly #open = new Set<Deno.TcpConn>();

  /** @param caCerts Authorities in PEM that are trusted besides Deno's. */
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
    for await (const program of this.#listener) {
      this.#open.add(program);
      this.#relay(program).catch(() => {}).finally(() => {
        this.#open.delete(program);
        try {
          program.close();
        } catch (error) {
          if (!(error instanceof Deno.errors.BadResource)) throw error;
        }
      });
    }
  }

  async #relay(program: Deno.TcpConn): Promise<void> {
    const socks = new Socks5({ user: "wgd", password: this.#password });
    const request = await talk(program, socks);
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
    await Promise.all([copy(program, conn), copy(conn, program)]);
  }

  /** Ends the proxy and all that goes through it. */
  [Symbol.dispose](): void {
    this.#listener.close();
    this.client.close();
    for (const program of this.#open) program.close();
  }
}

/** Lets a program say what it wants. @returns Nothing if it wants nothing that can be given. */
async function talk(program: Deno.Conn, socks: Socks5): Promise<ProxyRequest | undefined> {
  const buffer = new Uint8Array(16_384);
  for (;;) {
    const length = await program.read(buffer);
    if (length === null) return undefined;
    const { reply, request, over } = socks.push(buffer.subarray(0, length));
    if (reply) await writeAll(program, reply);
    if (request || over) return request;
  }
}

/** What a proxy tells its program of an error. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Deno.errors.ConnectionRefused) return "refused";
  if (error instanceof Deno.errors.NotFound) return "unknown host";
  if (error instanceof Deno.errors.TimedOut) return "timed out";
  if (error instanceof Deno.errors.NetworkUnreachable) return "unreachable";
  return "failed";
}

/** What bytes are read from and written to. */
type Stream = Pick<Deno.Conn, "read" | "write" | "closeWrite">;

/** Writes all of it. */
export async function writeAll(to: Pick<Stream, "write">, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await to.write(bytes.subarray(written));
}

/** Copies a stream to its end, and ends the other one. */
export async function copy(from: Stream, to: Stream): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let length = await from.read(buffer); length !== null; length = await from.read(buffer)) {
    await writeAll(to, buffer.subarray(0, length));
  }
  await to.closeWrite();
}
