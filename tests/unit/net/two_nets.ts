/**
 * Sends bytes through two tunnels in one program, and prints which sockets carried them and whether they are the same.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { NetPair } from "./pair.ts";

const BYTES = 3_000_000;

/** Sends bytes there and back. @returns Which sockets carried them, and whether they are the same. */
export async function exchange({ near, far }: NetPair): Promise<string> {
  await using _server = far.serve({ port: 80 }, async (request) => {
    const body = new Uint8Array(await request.arrayBuffer());
    return new Response(body, { headers: { hash: sha256(body) } });
  });
  const sent = new Uint8Array(BYTES);
  for (let i = 0; i < sent.length; i++) sent[i] = i * 31 >> 5;
  const response = await near.fetch("http://10.9.0.2/", { method: "POST", body: sent });
  const back = new Uint8Array(await response.arrayBuffer());
  const states = await Promise.all([near.state(), far.state()]);
  const hash = sha256(sent);
  const same = response.headers.get("hash") === hash && sha256(back) === hash;
  return `${states.map(({ sockets }) => sockets).join(" ")} ${same ? "same" : "different"}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

if (import.meta.main) {
  await using pair = await NetPair.up();
  console.log(await exchange(pair));
}
