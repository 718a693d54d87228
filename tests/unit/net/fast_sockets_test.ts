import { deepEqual, equal } from "node:assert/strict";
import { formatConfig } from "../../../core/config/format.ts";
import { V8_FLAGS } from "../../../core/v8_flags.ts";
import { freePort } from "../../free_port.ts";
import { NetPair } from "./pair.ts";
import { exchange } from "./two_nets.ts";

/** Open sockets and descriptors that wait for them. */
function descriptors(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      // The descriptor with which the folder was read.
      return [];
    }
  }).filter((target) => /socket|eventfd|eventpoll/.test(target)).sort();
}

function end(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}

const file = (path: string) => new URL(path, import.meta.url).pathname;
/** Without FFI, and without a prompt for it. */
const WITHOUT_FFI = ["run", "--no-prompt", "--no-check", "--quiet", `--v8-flags=${V8_FLAGS}`, "--deny-ffi"];

Deno.test("if Deno permits FFI, a tunnel uses Linux's sockets and releases them", async () => {
  // Deno opens some for itself.
  await (await NetPair.up())[Symbol.asyncDispose]();
  const before = descriptors();
  const pair = await NetPair.up();
  equal(await exchange(pair), "linux linux same");
  await pair[Symbol.asyncDispose]();
  deepEqual(descriptors(), before);
});

Deno.test("without FFI, a tunnel uses sockets of node:dgram and needs only the network permission", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...WITHOUT_FFI, "--allow-net", file("two_nets.ts")],
  }).output();
  const decoder = new TextDecoder();
  deepEqual([code, decoder.decode(stdout)], [0, "node node same\n"], decoder.decode(stderr));
});

Deno.test("wgd proxy works where Deno does not permit FFI", async () => {
  await using pair = await NetPair.up();
  await using _pages = pair.far.serve({ port: 80 }, () => new Response("page"));
  // The proxy uses its port.
  await pair.near[Symbol.asyncDispose]();
  const path = await Deno.makeTempFile({ suffix: ".conf" });
  await Deno.writeTextFile(path, formatConfig(pair.nearConfig));
  const port = freePort();
  const proxy = new Deno.Command(Deno.execPath(), {
    args: [
      ...WITHOUT_FFI,
      ...["--allow-net", "--allow-read", "--allow-env", file("../../../cli/main.ts")],
      ...["proxy", path, "--forward", `${port}=10.9.0.2:80`],
    ],
    stderr: "piped",
  }).spawn();
  const errors = new Response(proxy.stderr).text();
  try {
    let page = "";
    for (let attempt = 0; attempt < 100 && page === ""; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      page = await fetch(`http://127.0.0.1:${port}/`).then((response) => response.text(), () => "");
    }
    end(proxy);
    equal(page, "page", await errors);
  } finally {
    end(proxy);
    await proxy.status;
    await errors;
    await Deno.remove(path);
  }
});
