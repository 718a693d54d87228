/**
 * `wgd run`: the interface process.
 *
 * @module
 */

import { leaveTerminal, releaseStandardStreams } from "../../ffi/process.ts";
import { Tunnel } from "../../core/engine/start.ts";
import { complain } from "../render/output.ts";
import { READY_VARIABLE, startInBackground } from "../self.ts";

const READY = new Uint8Array([10]);
const USAGE = "Usage: wgd run [-f | --foreground] <interface>";

/** Runs an interface, in the background unless asked otherwise; then it returns when the interface can be used. */
export async function run(args: string[]): Promise<number> {
  const options = args.filter((word) => word.startsWith("-"));
  const names = args.filter((word) => !word.startsWith("-"));
  const [name] = names;
  if (
    name === undefined || names.length > 1 || options.some((word) => word !== "-f" && word !== "--foreground")
  ) {
    complain(USAGE);
    return 1;
  }
  if (!/^[^\s/:]{1,15}$/.test(name) || name === "." || name === "..") {
    complain(`wgd: "${name}" cannot be the name of an interface`);
    complain(
      "hint: a name has 1 to 15 characters, none of them a space, a slash or a colon; for example wg0",
    );
    return 1;
  }
  return await (options.length > 0 ? runHere(name) : startInBackground(name));
}

async function runHere(name: string): Promise<number> {
  const level = Deno.env.get("LOG_LEVEL") ?? "error";
  const tunnel = await Tunnel.start(name, {
    log: (severity, message) => {
      if (level === "verbose" || level === "debug" || severity === "error" && level !== "silent") {
        console.error(`wgd: ${message}`);
      }
    },
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => void tunnel.stop());
  }
  if (Deno.env.has(READY_VARIABLE)) {
    leaveTerminal();
    Deno.stdout.writeSync(READY);
    // As wireguard-go: whoever asked for a log keeps the terminal it goes to.
    if (!Deno.env.has("LOG_LEVEL")) releaseStandardStreams();
  }
  const reason = await tunnel.stopped;
  if (level === "verbose" || level === "debug") console.error(`wgd: ${name} ended: ${reason}`);
  return 0;
}
