/**
 * `wgd run`: the interface process.
 *
 * @module
 */

import { leaveTerminal, releaseStandardStreams } from "../../ffi/linux/process.ts";
import { type Feature, FeatureError, parseFeatures } from "../../core/config/features.ts";
import { loadEngine, Tunnel } from "../../core/tunnel/start.ts";
import { RUN_OPTIONS } from "../grammar.ts";
import { complainHint } from "../hint.ts";
import { complain } from "../render/output.ts";
import { startWaiting, WAIT_VARIABLE, waitToBegin } from "../self.ts";

const READY = new Uint8Array([10]);
/** Features that are turned off, in addition to those of `--disable`; `wgd quick` sets it too. */
const DISABLE_VARIABLE = "WGD_DISABLE";
const USAGE = "Usage: wgd run [-f | --foreground] [--disable <feature>[,<feature>]...] <interface>";

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
  try {
    disable = [
      ...features("--disable", words.disable),
      ...features(DISABLE_VARIABLE, Deno.env.get(DISABLE_VARIABLE) ?? ""),
    ];
  } catch (error) {
    if (!(error instanceof FeatureError)) throw error;
    complain(`wgd: ${error.message}`);
    complainHint(error);
    return 1;
  }
  return await (words.foreground ? runHere(name, disable) : startWaiting(name).begin(disable.join()));
}

interface RunArguments {
  readonly name: string;
  readonly foreground: boolean;
  readonly disable: string;
}

async function read(args: string[]): Promise<RunArguments | null> {
  // The usual words, read without `parseArgs`: loading that takes 8 ms, a tenth of each start.
  const foreground = args[0] === "--foreground" || args[0] === "-f";
  const [word, ...others] = foreground ? args.slice(1) : args;
  if (word !== undefined && !word.startsWith("-") && others.length === 0) {
    return { name: word, foreground, disable: "" };
  }
  const { parseArgs } = await import("node:util");
  try {
    const { values, positionals: [name, ...more] } = parseArgs({
      args,
      allowPositionals: true,
      options: RUN_OPTIONS,
    });
    if (name === undefined || more.length > 0) return null;
    return { name, foreground: values.foreground ?? false, disable: values.disable?.join() ?? "" };
  } catch {
    return null;
  }
}

function features(from: string, text: string): Feature[] {
  try {
    return parseFeatures(text);
  } catch (error) {
    if (!(error instanceof FeatureError)) throw error;
    throw new FeatureError(`${from}: ${error.message}`, error.hint);
  }
}

async function runHere(name: string, disable: readonly Feature[]): Promise<number> {
  const level = Deno.env.get("LOG_LEVEL") ?? "error";
  const waits = Deno.env.has(WAIT_VARIABLE);
  const engine = loadEngine(name);
  const more = waits ? await waitToBegin() : "";
  if (more === null) return 1;
  const starting = Tunnel.start(name, {
    disable: [...disable, ...parseFeatures(more)],
    log: (severity, message) => {
      if (level === "verbose" || level === "debug" || severity === "error" && level !== "silent") {
        console.error(`wgd: ${message}`);
      }
    },
  }, engine);
  for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM"] as const) {
    // Set before the interface exists: as soon as its socket exists, it may be stopped. Failures are reported below.
    Deno.addSignalListener(signal, () => void starting.then((tunnel) => tunnel.stop(), () => {}));
  }
  // A terminal that closes, or a program that wants logs reopened, does not end an interface.
  for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const) Deno.addSignalListener(signal, () => {});
  // Done while the other thread makes the interface.
  if (waits) leaveTerminal();
  const tunnel = await starting;
  if (waits) {
    Deno.stdout.writeSync(READY);
    // As in wireguard-go, a log keeps the terminal that it goes to.
    if (!Deno.env.has("LOG_LEVEL")) releaseStandardStreams();
  }
  const reason = await tunnel.stopped;
  if (level === "verbose" || level === "debug") console.error(`wgd: ${name} ended: ${reason}`);
  return 0;
}
