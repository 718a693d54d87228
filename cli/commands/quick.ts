/**
 * `wgd quick`: wg-quick.
 *
 * @module
 */

import { ConfigError } from "../../core/config/parse.ts";
import { StepError } from "../../core/quick/apply.ts";
import { quickDown, quickUp } from "../../core/quick/quick.ts";
import { quickSave } from "../../core/quick/save.ts";
import { QuickError, readQuickSource } from "../../core/quick/source.ts";
import { UapiError } from "../../core/uapi/format.ts";
import { resolve } from "../endpoint.ts";
import { shortName, tool } from "../program.ts";
import { complain, print } from "../render/output.ts";
import { strerror } from "../render/strerror.ts";
import { selfCommand } from "../self.ts";

/** Exit code of a program that SIGINT ended. */
const INTERRUPTED = 130;

/** Brings interfaces up and down by their files. */
export async function quick(args: string[]): Promise<number> {
  if (args.length === 1 && /^(-h|--help|help)$/.test(args[0]!)) {
    complain(usage());
    return 0;
  }
  // wg-quick has no options: what it would not take as one is refused as it refuses it.
  const dryRun = tool() !== "wg-quick" && args.includes("--dry-run");
  const [action, target, ...rest] = dryRun ? args.filter((word) => word !== "--dry-run") : args;
  if (
    target === undefined || rest.length > 0 ||
    !(dryRun ? /^(up|down)$/ : /^(up|down|save|strip)$/).test(action!)
  ) {
    complain(usage());
    return 1;
  }
  try {
    const elevated = await elevate(args);
    if (elevated !== undefined) return elevated;
    switch (action) {
      case "up":
        return await up(target, dryRun);
      case "down":
        await quickDown(target, { announce, warn: complain, dryRun });
        return 0;
      case "save":
        await quickSave(target);
        return 0;
      default:
        print(`${(await readQuickSource(target, complain)).config.wg}\n`);
        return 0;
    }
  } catch (error) {
    return report(error);
  }
}

function usage(): string {
  const name = tool() === "wg-quick" ? shortName() : `${shortName()} quick`;
  return `Usage: ${name} [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]

  CONFIG_FILE is a configuration file, whose filename is the interface name
  followed by \`.conf'. Otherwise, INTERFACE is an interface name, with
  configuration found at /etc/wireguard/INTERFACE.conf.`;
}

async function up(target: string, dryRun: boolean): Promise<number> {
  const interrupt = new AbortController();
  const abort = () => interrupt.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, abort);
  // wg-quick's variable names another program that makes interfaces.
  const other = Deno.env.get("WG_QUICK_USERSPACE_IMPLEMENTATION");
  const self = selfCommand();
  try {
    await quickUp(target, {
      announce,
      warn: complain,
      dryRun,
      creator: other ? [other] : [self.command, ...self.args, "run"],
      creatorShown: other ?? "wgd run",
      creatorEnv: other ? {} : self.env,
      resolve,
      signal: interrupt.signal,
    });
    return 0;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    complain(`${shortName()}: interrupted; everything was undone`);
    return INTERRUPTED;
  }
}

function announce(step: string): void {
  complain(`[#] ${step}`);
}

/** Interfaces are root's business: as wg-quick does, the same command is run again by sudo. */
async function elevate(args: string[]): Promise<number | undefined> {
  if (Deno.uid() === 0) return undefined;
  const self = selfCommand();
  const prompt = `${shortName()} must be run as root. Please enter the password for %u to continue: `;
  try {
    const { code } = await new Deno.Command("sudo", {
      args: ["-p", prompt, "--", self.command, ...self.args, "quick", ...args],
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    return code;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new QuickError(
      "must be run as root",
      "this machine has no sudo; become root first, for example by su",
    );
  }
}

function report(error: unknown): number {
  // The program that failed has said why; wg-quick ends with its exit code.
  if (error instanceof StepError) return error.code;
  if (error instanceof ConfigError) {
    complain(error.message);
    complain(`${shortName()}: Configuration parsing error`);
    complain(error.hint);
    return 1;
  }
  if (!(error instanceof QuickError)) throw error;
  const { message, hint, cause } = error;
  const reason = cause instanceof UapiError ? `: ${strerror(cause.errno)}` : "";
  complain(`${shortName()}: ${message}${reason}`);
  if (hint) complain(`hint: ${hint}`);
  return 1;
}
