/**
 * A program that asks for a page through its own tunnel again and again, and prints a line for each try. Run by
 * rootless_endpoint_test.ts; its arguments are the configuration file and the URL.
 *
 * @module
 */

import { up } from "../../../mod.ts";

const [file = "", url = ""] = Deno.args;

await using net = await up(file);
for (;;) {
  const signal = AbortSignal.timeout(2_000);
  console.log(await net.fetch(url, { signal }).then((response) => response.text(), () => "silence"));
  await new Promise((resolve) => setTimeout(resolve, 500));
}
