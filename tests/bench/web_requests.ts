/**
 * Requests to `wgd web`, from its own host.
 *
 *     deno run web_requests.ts API TOKEN CA_FILE
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { percentile } from "./statistics.ts";

/** What was measured. */
export interface WebFigures {
  /** Milliseconds by kind of request: the middle, and the slowest of a hundred. */
  readonly requests: Readonly<Record<string, readonly [median: number, slowest: number]>>;
  readonly listsPerSecond: number;
}

const ROUNDS = 100;
const CONCURRENT = 16;
const CONCURRENT_TIME = 3_000;

/** Sends the requests. */
async function measure(api: string, token: string, caFile: string): Promise<WebFigures> {
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(caFile)] });
  // deno-lint-ignore no-explicit-any -- the answers are only looked into here
  const call = async (method: string, path: string, body?: unknown): Promise<any> => {
    const answer = await fetch(api + path, {
      client,
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  const { items: [first], next } = await call("GET", "/devices");
  const added: string[] = [];
  const kinds: Readonly<Record<string, (round: number) => Promise<unknown>>> = {
    "the first page of the list, ms": () => call("GET", "/devices"),
    "the next page": () => call("GET", `/devices?cursor=${next}`),
    "by the last handshake": () => call("GET", "/devices?sort=-handshake"),
    "devices of one network": () => call("GET", "/devices?network=wg0"),
    "devices that are online": () => call("GET", "/devices?state=online"),
    "search by address": () => call("GET", `/devices?search=${first.addresses[0]}`),
    "search without a hit": () => call("GET", "/devices?search=nowhere"),
    "one device": () => call("GET", `/devices/${first.id}`),
    "add a device": async (round) => {
      const publicKey = randomBytes(32).toString("base64");
      const { id } = await call("POST", "/devices", { network: "wg0", name: `new ${round}`, publicKey });
      added.push(id);
    },
    "disable a device": (round) => call("PATCH", `/devices/${added[round]}`, { disabled: true }),
    "remove a device": (round) => call("DELETE", `/devices/${added[round]}`),
  };
  const requests: Record<string, [number, number]> = {};
  for (const [name, send] of Object.entries(kinds)) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const began = performance.now();
      await send(round);
      times.push(performance.now() - began);
    }
    requests[name] = [percentile(times, 0.5), percentile(times, 1)];
  }
  const end = performance.now() + CONCURRENT_TIME;
  const counts = await Promise.all(Array.from({ length: CONCURRENT }, async () => {
    let count = 0;
    for (; performance.now() < end; count++) await call("GET", "/devices");
    return count;
  }));
  const listsPerSecond = counts.reduce((sum, count) => sum + count, 0) / (CONCURRENT_TIME / 1_000);
  return { requests, listsPerSecond };
}

if (import.meta.main) {
  const [api, token, caFile] = Deno.args;
  console.log(JSON.stringify(await measure(api!, token!, caFile!)));
}
