/**
 * The keeper's socket.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type LocalConnection, LocalServer } from "../../../ffi/linux/local_server.ts";
import type { Keeper } from "./keeper.ts";
import { KeeperError, type Notice, type Reply, type Request } from "./verbs.ts";

/** Longest line: a hundred thousand peers. */
const LONGEST = 64 << 20;

const NEWLINE = 10;

/** A listening keeper. */
export interface KeeperServer {
  /** Tells all its clients something. */
  tell(notice: Notice): void;
  /** Stops it. The interfaces stay. */
  close(): void;
}

/**
 * Serves a keeper at a socket.
 *
 * @param user The user that may send requests, besides root.
 * @param complain Called with errors that are not sent to a client.
 * @throws {SystemError} If another keeper listens there.
 */
export function serveKeeper(
  keeper: Keeper,
  path: string,
  user: number,
  group: number,
  complain: (text: string) => void,
): KeeperServer {
  const server = LocalServer.listen(path, user, group);
  const clients = new Set<Client>();
  (async () => {
    for (;;) {
      const connection = await server.accept();
      if (!connection) return;
      if (connection.user === user || connection.user === 0) {
        const client = new Client(connection);
        clients.add(client);
        serve(keeper, client).catch((error) => complain(String(error))).finally(() => clients.delete(client));
      } else {
        complain(`user ${connection.user} is not allowed to use the keeper`);
        connection.close();
      }
    }
  })().catch((error) => complain(String(error)));
  return {
    tell(notice) {
      for (const client of clients) void client.tell(notice);
    },
    close: () => server.close(),
  };
}

/** A connection, to which lines are written one after the other. */
class Client {
  #writing: Promise<boolean> = Promise.resolve(true);
  /** Notices that have not been written. A client that does not read gets each of them once. */
  readonly #untold = new Set<string>();

  constructor(readonly connection: LocalConnection) {}

  /** @returns Whether it was written; false if the client has ended. */
  write(line: unknown): Promise<boolean> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
    return this.#writing = this.#writing.then((isOpen) => isOpen && this.connection.write(bytes));
  }

  async tell(notice: Notice): Promise<void> {
    const name = JSON.stringify(notice);
    if (this.#untold.has(name)) return;
    this.#untold.add(name);
    await this.#writing;
    this.#untold.delete(name);
    await this.write(notice);
  }

  /** Closes it after the current write. */
  async close(): Promise<void> {
    const last = this.#writing;
    this.#writing = Promise.resolve(false);
    this.connection.end();
    await last;
    this.connection.close();
  }
}

async function serve(keeper: Keeper, client: Client): Promise<void> {
  const { connection } = client;
  try {
    for await (const line of lines(connection)) {
      if (!await client.write(await answer(keeper, connection, line))) return;
    }
  } finally {
    keeper.forget(connection);
    await client.close();
  }
}

async function answer(keeper: Keeper, connection: LocalConnection, line: string): Promise<Reply> {
  let id = 0;
  try {
    const request: Request = JSON.parse(line);
    id = Number(request.id);
    return { id, gives: await keeper.do(String(request.verb), request.takes, connection) };
  } catch (error) {
    const { message, hint } = error as KeeperError;
    return { id, error: { message, ...(hint !== undefined && { hint }) } };
  }
}

/** @throws {KeeperError} If a line is too long. */
async function* lines(connection: LocalConnection): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(1 << 16);
  let parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const read = await connection.read(chunk);
    if (read === null) return;
    let rest = chunk.subarray(0, read);
    for (;;) {
      const end = rest.indexOf(NEWLINE);
      if (end < 0) break;
      yield decoder.decode(Buffer.concat([...parts, rest.subarray(0, end)]));
      parts = [];
      length = 0;
      rest = rest.subarray(end + 1);
    }
    parts.push(rest.slice());
    length += rest.length;
    if (length > LONGEST) throw new KeeperError("a request is too long");
  }
}
