/**
 * Compares `wg` and wgd on running interfaces: the same commands on two equal interfaces lead to the same state.
 *
 * The interfaces are wgd's own, or wireguard-go's if WGD_WIREGUARD_GO names its executable.
 *
 * @module
 */

import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { formatKey } from "../../core/config/key.ts";
import { configText, goodEndpointText, key, setWords } from "./arbitraries.ts";
import { calledAs, canCompare, findProgram, wgd } from "./oracle.ts";

const FULL = Deno.env.get("WGD_TEST_FULL") === "1" ? 20 : 1;
const number = Deno.pid % 100_000;
const decoder = new TextDecoder();

async function run(
  program: string,
  args: string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { WG_ENDPOINT_RESOLUTION_RETRIES: "0", ...calledAs("wg") },
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A network namespace that contains only the interfaces under test. */
class Namespace {
  readonly name = `wgcn${number}`;
  readonly #processes: Deno.ChildProcess[] = [];

  static async open(): Promise<Namespace> {
    const namespace = new Namespace();
    ok((await run("ip", ["netns", "add", namespace.name])).code === 0);
    return namespace;
  }

  /** Starts an interface and waits until it can be configured. */
  async start(name: string): Promise<void> {
    const go = Deno.env.get("WGD_WIREGUARD_GO");
    const [program, args] = go ? [go, ["-f", name]] : [wgd()[0], [...wgd()[1], "run", "--foreground", name]];
    this.#processes.push(
      new Deno.Command("ip", {
        args: ["netns", "exec", this.name, program, ...args],
        env: { LOG_LEVEL: "silent" },
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn(),
    );
    for (let attempt = 0; attempt < 200; attempt++) {
      if ((await run("wg", ["show", name])).code === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`interface ${name} does not start`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) {
      process.kill("SIGTERM");
      await process.status;
    }
    await run("ip", ["netns", "delete", this.name]);
  }
}

/** The state of an interface as Debian's wg prints it, sorted, because wireguard-go has no order. */
async function stateOf(name: string): Promise<string[]> {
  const { code, stdout } = await run("wg", ["show", name, "dump"]);
  ok(code === 0);
  const [device, ...peers] = stdout.trimEnd().split("\n");
  return [device!, ...peers.map(sortAllowedIps).sort()];
}

function sortAllowedIps(peer: string): string {
  const fields = peer.split("\t");
  fields[3] = fields[3]!.split(",").sort().join(",");
  return fields.join("\t");
}

Deno.test({
  name: "wg and wgd leave the same state behind on twin interfaces",
  ignore: !canCompare || findProgram("ip") === undefined,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    await using namespace = await Namespace.open();
    const theirs = `wgca${number}`;
    const ours = `wgcb${number}`;
    await namespace.start(theirs);
    await namespace.start(ours);
    const [program, before] = wgd();
    const keyFile = `${folder}/key`;
    await Deno.writeTextFile(keyFile, formatKey(new Uint8Array(32).fill(0x42)));

    // A few peers, so that commands affect peers of earlier ones. Two interfaces cannot have the same port.
    const known = fc.sample(key, 4).map(formatKey);
    const anyKey = /(?<![\w+/])[\w+/]{43}=/g;
    const pick = (text: string) => known[text.charCodeAt(0) % known.length]!;
    const familiar = (text: string) => text.replace(anyKey, pick);
    const portless = (text: string) => text.replace(/(listen\s*-?port)\s*=?.*/gi, "");
    const command = fc.oneof(
      setWords([keyFile, "/dev/null"]).filter((words) => words.length > 0 && !words.includes("listen-port"))
        .map((words) => ["set", ...words.map(familiar)]),
      fc.tuple(fc.constantFrom("setconf", "addconf", "syncconf"), configText(goodEndpointText)).map((
        [verb, text],
      ) => [
        verb,
        portless(familiar(text)),
      ]),
    );
    let applied = 0;
    try {
      for (const [verb = "", ...words] of fc.sample(command, 150 * FULL)) {
        const isFile = verb !== "set";
        if (isFile) await Deno.writeTextFile(`${folder}/conf`, words[0]!);
        const rest = isFile ? [`${folder}/conf`] : words;
        const expected = await run("wg", [verb, theirs, ...rest]);
        const outcome = await run(program, [...before, verb, ours, ...rest]);
        deepEqual(outcome.code, expected.code, JSON.stringify([verb, ...words]));
        if (verb === "syncconf" && outcome.code === 0) {
          // Debian's wg keeps preshared keys and keepalives that the file no longer has; the newest wg does not.
          await run(program, [...before, "syncconf", theirs, ...rest]);
        }
        const [theirState, ourState] = [await stateOf(theirs), await stateOf(ours)];
        // If the system chooses them, the ports differ.
        theirState[0] = theirState[0]!.replace(/\t\d+\t/, "\tPORT\t");
        ourState[0] = ourState[0]!.replace(/\t\d+\t/, "\tPORT\t");
        if (outcome.code === 0) applied++;
        deepEqual(ourState, theirState, JSON.stringify([verb, ...words]));
      }
      ok(applied > 30 * FULL, `only ${applied} commands were accepted`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
