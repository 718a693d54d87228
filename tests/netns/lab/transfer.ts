/**
 * Sends bytes over TCP and back, and compares them by SHA-256. It runs inside a host, as a separate process:
 *
 *     transfer.ts serve ADDRESS
 *     transfer.ts exchange ADDRESS BYTES
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Where it is served. */
export const PORT = 5_300;
const BLOCK = 1 << 16;
const HASH = 32;

/** Numbers that look random (xorshift32), so that a block in another's place is noticed. */
function* blocks(seed: number, length: number): Generator<Uint8Array> {
  let state = seed;
  for (let left = length; left > 0; left -= BLOCK) {
    const words = new Uint32Array(BLOCK / 4);
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    yield new Uint8Array(words.buffer).subarray(0, left);
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function send(connection: Deno.Conn, seed: number, length: number): Promise<Uint8Array> {
  const hash = createHash("sha256");
  for (const block of blocks(seed, length)) {
    hash.update(block);
    await writeAll(connection, block);
  }
  return hash.digest();
}

async function receive(
  connection: Deno.Conn,
  length: number,
  each: (bytes: Uint8Array) => void,
): Promise<void> {
  const buffer = new Uint8Array(BLOCK);
  for (let left = length; left > 0;) {
    const count = await connection.read(buffer.subarray(0, left));
    if (count === null) throw new Error(`the connection ended ${left} bytes too early`);
    each(buffer.subarray(0, count));
    left -= count;
  }
}

async function receiveHashed(connection: Deno.Conn, length: number): Promise<Uint8Array> {
  const hash = createHash("sha256");
  await receive(connection, length, (bytes) => hash.update(bytes));
  return hash.digest();
}

/** Answers a connection's {@linkcode exchange}. */
export async function answer(connection: Deno.Conn): Promise<void> {
  const head = new Uint8Array(4);
  let filled = 0;
  await receive(connection, 4, (bytes) => {
    head.set(bytes, filled);
    filled += bytes.length;
  });
  const length = new DataView(head.buffer).getUint32(0);
  await writeAll(connection, await receiveHashed(connection, length));
  await writeAll(connection, await send(connection, 2, length));
  await connection.read(head);
}

/**
 * Sends bytes and gets others back.
 *
 * @throws {Error} If they did not arrive as they were sent, either way.
 */
export async function exchange(connection: Deno.Conn, length: number): Promise<void> {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, length);
  await writeAll(connection, head);
  const expectHash = async (own: Uint8Array, what: string) => {
    const told: number[] = [];
    await receive(connection, HASH, (bytes) => told.push(...bytes));
    if (Uint8Array.from(told).toHex() !== Uint8Array.from(own).toHex()) {
      throw new Error(`${what} is not the same`);
    }
  };
  await expectHash(await send(connection, 1, length), "what was sent");
  await expectHash(await receiveHashed(connection, length), "what came back");
}

if (import.meta.main) {
  const [command, hostname, size] = Deno.args;
  if (command === "serve") {
    const listener = Deno.listen({ hostname: hostname!, port: PORT });
    console.log("ready");
    for await (const connection of listener) {
      answer(connection).catch((error) => console.log(error)).finally(() => connection.close());
    }
  } else {
    const connection = await Deno.connect({ hostname: hostname!, port: PORT });
    await exchange(connection, Number(size));
    console.log("the same both ways");
    connection.close();
  }
}
