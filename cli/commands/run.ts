/**
 * `wgd run`: the interface process.
 *
 * @module
 */

import { leaveTerminal, releaseStandardStreams } from "../../ffi/linux/process.ts";
import {
  DISABLE_VARIABLE,
  type Feature,
  FeatureError,
  parseFeatures,
  parseFeaturesOf,
} from "../../core/config/features.ts";
import {
  DEFAULT_LANES,
  type LaneCount,
  LANES_VARIABLE,
  parseLanes,
  parseLanesOf,
} from "../../core/config/lanes.ts";
import { loadEngine, Tunnel } from "../../core/tunnel/start.ts";
import { RUN_OPTIONS } from "../grammar.ts";
import { complainHint } from "../hint.ts";
import { complain } from "../render/output.ts";
import { startWaiting, WAIT_VARIABLE, waitToBegin } from "../self.ts";

const READY = new Uint8Array([10]);
const USAGE =
  "Usage: wgd run [-f | --foreground] [--disable <feature>[,<feature>]...] [--lanes <number>] <interface>";

/** Runs an interface. By default it runs in the background, and this returns when it is ready. */
export async function run(args: string[]): Promise<number> {
  const words = await read(args);
  if (words === null) {
    complain(USAGE);
    return 1;
  }
  const { name } = words;
  if (!/^[^\s/:]{1,15}$/.test(name) || name === "." || name === "..") {
    complain(`wgd: "${name}" cannot be the name of an interface`);
    complain(
      "hint: a name has 1 to 15 characters, none of them a space, a slash or a colon; for example wg0",
    );
    return 1;
  }
  let disable: Feature[];
  let lanes: LaneCount;
  try {
    disable = [
      ...parseFeaturesOf("--disable", words.disable),
      ...parseFeaturesOf(DISABLE_VARIABLE, Deno.env.get(DISABLE_VARIABLE) ?? ""),
    ];
    lanes = laneCount(words.lanes);
  } catch (error) {
    if (!(error instanceof FeatureError)) throw error;
    complain(`wgd: ${error.message}`);
    complainHint(error);
    return 1;
  }
  if (words.foreground) return await runHere(name, disable, lanes);
  return await startWaiting(name).begin({ disable: disable.join(), lanes: `${lanes}` });
}

interface RunArguments {
  readonly name: string;
  readonly foreground: boolean;
  readonly disable: string;
  readonly lanes: string | undefined;
}

async function read(args: string[]): Promise<RunArguments | null> {
  // Parses the usual arguments without `parseArgs`, because loading it takes 8 ms, a tenth of each start.
  const foreground = args[0] === "--foreground" || args[0] === "-f";
  const [word, ...others] = foreground ? args.slice(1) : args;
  if (word !== undefined && !word.startsWith("-") && others.length === 0) {
    return { name: word, foreground, disable: "", lanes: undefined };
  }
  const { parseArgs } = await import("node:util");
  try {
    const { values, positionals: [name, ...more] } = parseArgs({
      args,
      allowPositionals: true,
      options: RUN_OPTIONS,
    });
    if (name === undefined || more.length > 0) return null;
    const { foreground = false, disable, lanes } = values;
    return { name, foreground, disable: disable?.join() ?? "", lanes };
  } catch {
    return null;
  }
}

/** @param option The value of `--lanes`. @throws {FeatureError} If it, or the environment's, is invalid. */
function laneCount(option: string | undefined): LaneCount {
  const text = option ?? Deno.env.get(LANES_VARIABLE);
  return text ? parseLanesOf(option === undefined ? LANES_VARIABLE : "--lanes", text) : DEFAULT_LANES;
}

async function runHere(name: string, disable: readonly Feature[], lanes: LaneCount): Promise<number> {
  const level = Deno.env.get("LOG_LEVEL") ?? "error";
  const waits = Deno.env.has(WAIT_VARIABLE);
  const engine = loadEngine(name);
  const more = waits ? await waitToBegin() : { disable: "", lanes: "" };
  if (more === null) return 1;
  const starting = Tunnel.start(name, {
    disable: [...disable, ...parseFeatures(more.disable)],
    lanes: parseLanes(more.lanes) ?? lanes,
    log: (severity, message) => {
      if (level === "verbose" || level === "debug" || severity === "error" && level !== "silent") {
        console.error(`wgd: ${message}`);
      }
    },
  }, engine);
  for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM"] as const) {
    // Set before the interface exists, because it may be stopped as soon as its socket exists. Failures are reported
    // below.
    Deno.addSignalListener(signal, () => void starting.then((tunnel) => tunnel.stop(), () => {}));
  }
  // A closed terminal, or a program that requests to reopen logs, does not end an interface.
  for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const) Deno.addSignalListener(signal, () => {});
  // Done while the other thread makes the interface.
  if (waits) leaveTerminal();
  const tunnel = await starting;
  if (waits) {
    Deno.stdout.writeSync(READY);
    // As in wireguard-go, the process stays attached to the terminal if it logs.
    if (!Deno.env.has("LOG_LEVEL")) releaseStandardStreams();
  }
  const reason = await tunnel.stopped;
  if (level === "verbose" || level === "debug") console.error(`wgd: ${name} ended: ${reason}`);
  return 0;
}
