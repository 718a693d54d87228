/**
 * Prints how many milliseconds longer `fetch` of a small page takes through a tunnel in the same program than over
 * loopback, over persistent connections: the difference of the medians. Runs inside a host. Its arguments are the
 * configuration file and the page's URL.
 *
 * @module
 */

import { up } from "../../mod.ts";
import { median } from "./statistics.ts";

const COUNT = 500;

async function fetches(fetch: (url: string) => Promise<Response>, url: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < COUNT; i++) {
    const begun = performance.now();
    await (await fetch(url)).text();
    times.push(performance.now() - begun);
  }
  return median(times);
}

const [config, url] = Deno.args as [string, string];
await using net = await up(config);
await using server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  () => new Response("hello"),
);
const loopback = `http://127.0.0.1:${server.addr.port}/`;
// Both are warmed up before either is measured.
await fetches((url) => net.fetch(url), url);
await fetches(fetch, loopback);
const through = await fetches((url) => net.fetch(url), url);
console.log(through - await fetches(fetch, loopback));
