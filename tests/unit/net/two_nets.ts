/**
 * Two tunnels in one program, over loopback: prints which sockets carry them and what came through.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { type Config, parseConfig } from "../../../core/config/format.ts";
import { formatKey } from "../../../core/config/key.ts";
import type { Net } from "../../../core/net/api.ts";
import { up } from "../../../core/net/up.ts";
import { Wasm } from "../../../wasm/mod.ts";

const wasm = new Wasm();
const BYTES = 3_000_000;

/** Keys of a host. */
export function keys(): { privateKey: string; publicKey: string } {
  const privateKey = crypto.getRandomValues(new Uint8Array(32));
  const publicKey = new Uint8Array(32);
  wasm.publicKey(publicKey, privateKey);
  return { privateKey: formatKey(privateKey), publicKey: formatKey(publicKey) };
}

/** A host with one peer. */
export function config(number: number, privateKey: string, peer: string, endpoint?: number): Config {
  return parseConfig(`[Interface]
PrivateKey = ${privateKey}
Address = 10.8.0.${number}/24
[Peer]
PublicKey = ${peer}
AllowedIPs = 10.8.0.${3 - number}/32
${endpoint === undefined ? "" : `Endpoint = 127.0.0.1:${endpoint}`}
`);
}

/** Two hosts; the first one serves what it is sent, and its hash. */
export async function twoNets(): Promise<AsyncDisposable & { nets: [Net, Net] }> {
  await using made = new AsyncDisposableStack();
  const [one, other] = [keys(), keys()];
  const server = made.use(await up(config(1, one.privateKey, other.publicKey)));
  const { listenPort } = await server.state();
  const client = made.use(await up(config(2, other.privateKey, one.publicKey, listenPort)));
  made.use(server.serve({ port: 80 }, async (request) => {
    const body = new Uint8Array(await request.arrayBuffer());
    return new Response(body, { headers: { hash: createHash("sha256").update(body).digest("hex") } });
  }));
  const all = made.move();
  return { nets: [server, client], [Symbol.asyncDispose]: () => all[Symbol.asyncDispose]() };
}

/** Sends bytes there and back. @returns Which sockets carried them, and whether they are the same. */
export async function exchange([server, client]: readonly [Net, Net]): Promise<string> {
  const sent = new Uint8Array(BYTES);
  for (let i = 0; i < sent.length; i++) sent[i] = i * 31 >> 5;
  const hash = createHash("sha256").update(sent).digest("hex");
  const response = await client.fetch("http://10.8.0.1/", { method: "POST", body: sent });
  const back = createHash("sha256").update(new Uint8Array(await response.arrayBuffer())).digest("hex");
  const states = await Promise.all([server.state(), client.state()]);
  const same = response.headers.get("hash") === hash && back === hash;
  return `${states.map(({ sockets }) => sockets).join(" ")} ${same ? "same" : "different"}`;
}

if (import.meta.main) {
  await using scene = await twoNets();
  console.log(await exchange(scene.nets));
}
