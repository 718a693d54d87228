/**
 * The actions of `wgd quick`.
 *
 * @module
 */

import { ConfigError } from "../../core/config/config_error.ts";
import { type Backend, readBackend } from "../../core/config/backend.ts";
import { savedFile } from "../../core/config/interface_name.ts";
import { ValueError } from "../../core/config/values.ts";
import { readConfigBytes } from "../../core/config_file.ts";
import { quickDown } from "../../core/quick/down.ts";
import { StepError } from "../../core/quick/run_steps.ts";
import { quickUp } from "../../core/quick/up.ts";
import { quickSave } from "../../core/quick/save.ts";
import { checkConfig } from "../../core/quick/check.ts";
import { quickReload } from "../../core/quick/reload.ts";
import { findFile, QuickError, readQuickSource, requireName } from "../../core/quick/source.ts";
import { quickStatus } from "../../core/quick/status.ts";
import { servicePort } from "../../core/client/system.ts";
import { UapiError } from "../../core/uapi/lines.ts";
import { resolve, resolvesEndpoints } from "../endpoint.ts";
import { complainHint } from "../hint.ts";
import { Interruption } from "../interruption.ts";
import { shortName, tool } from "../program.ts";
import { complain, print, printBytes } from "../render/output.ts";
import { strerror } from "../render/strerror.ts";
import { quickCommand, selfCommand, startWaiting, type WaitingProcess, watchCommand } from "../self.ts";

/** The arguments of the command line. */
export interface QuickArguments {
  readonly action: string;
  /** A file or an interface. */
  readonly target: string | undefined;
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly force: boolean;
  /** The interface's name, in place of the file's. */
  readonly interfaceName: string | undefined;
  /** Another program that makes interfaces. */
  readonly creator: string | undefined;
  /** Whether this program makes the interface. */
  readonly ours: boolean;
  /** The backend of the interface, and the option or variable that set it. */
  readonly backend: { readonly text: string; readonly from: string } | undefined;
}

/**
 * Runs an action.
 *
 * @param args All arguments of the command line, to run the command again as root.
 * @param waiting For `up`, the interface's process, which is loading.
 * @returns The exit code.
 */
export async function perform(
  { action, target, dryRun, json, force, interfaceName, creator, ours, backend }: QuickArguments,
  args: readonly string[],
  waiting: WaitingProcess | undefined,
): Promise<number> {
  try {
    const naming = interfaceName === undefined ? {} : { interfaceName };
    if (action === "check") return await check(target!, naming);
    const alternatives = async () => {
      if (action !== "up" || tool() !== "wgd") return;
      const { hintWithoutRoot } = await import("../without_root.ts");
      await hintWithoutRoot(await findFile(target!));
    };
    const elevated = await elevate(withBackend(args, action, backend), alternatives);
    if (elevated !== undefined) return elevated;
    const self = selfCommand();
    const options = {
      announce,
      warn: complain,
      self: [self.command, ...self.args],
      watcher: watchCommand(),
      dryRun,
      resolve,
      resolveEndpoints: resolvesEndpoints(),
      ...naming,
      ...(backend && { backend: chosenBackend(backend) }),
      ...(creator !== undefined && { creator: [creator] }),
      // The file may set another name for the interface.
      ...(ours && {
        create: (name: string, { WGD_DISABLE = "", WGD_LANES = "" }: Readonly<Record<string, string>>) =>
          (name === waiting?.name ? waiting : startWaiting(name)).begin({
            disable: WGD_DISABLE,
            lanes: WGD_LANES,
          }),
      }),
    };
    switch (action) {
      case "up":
        return await interruptible(
          (signal) => quickUp(target!, { ...options, signal }),
          "interrupted; everything was undone",
        );
      case "down":
        return await interruptible(
          (signal) => quickDown(target!, { ...options, force, signal }),
          "interrupted; call it again to undo the rest",
        );
      case "save":
        await quickSave(target!, naming);
        return 0;
      case "reload":
        await quickReload(target!, options);
        return 0;
      case "watch": {
        const { quickWatch } = await import("../../core/quick/watch.ts");
        await quickWatch(target!, options);
        return 0;
      }
      case "status":
        return await status(target, json);
      default: {
        const { config, encode } = await readQuickSource(target!, { warn: complain });
        printBytes(encode(`${config.wg}\n`));
        return 0;
      }
    }
  } catch (error) {
    return report(error);
  }
}

async function check(target: string, naming: { interfaceName?: string }): Promise<number> {
  requireName(naming.interfaceName);
  const path = await findFile(target, complain);
  const { errors, warnings } = await checkConfig(await readConfigBytes(path), path, {
    servicePort,
    ...naming,
  });
  for (const { message, hint } of errors) {
    complain(message);
    complain(`hint: ${hint}`);
  }
  for (const warning of warnings) complain(`Warning: ${warning}`);
  if (errors.length === 0 && warnings.length === 0) print(`${path}: nothing is wrong\n`);
  return errors.length === 0 ? 0 : 1;
}

/** The maximum number of differences that are shown per interface. */
const SHOWN = 12;

async function status(name: string | undefined, json: boolean): Promise<number> {
  const all = await quickStatus(name);
  if (json) {
    print(`${JSON.stringify({ interfaces: all }, null, 2)}\n`);
    return 0;
  }
  for (
    const { name, file, since, state, backend, where, differences = [], changes = [], problem, repair } of all
  ) {
    print(
      `${name}: ${state} (${backend}), since ${moment(since)}, by ${file}\n`,
    );
    if (state === "dead") {
      const end = backend === "kernel" ? "it was deleted" : "its process was killed";
      print(`  ${end}; "wgd quick down ${name}" removes what is left\n`);
    }
    if (state === "unfinished") {
      print(
        `  "wgd quick up" or "down" is running, or did not finish; if it did not: wgd quick down ${name}\n`,
      );
    }
    if (where !== undefined) print(`  ${where}\n`);
    if (repair) {
      const again = repair.state === "on" ? "" : `; "wgd quick reload ${name}" starts it again`;
      print(`  ${repair.message}${again}\n`);
      const { at, outcomes } = repair.last ?? { at: "", outcomes: [] };
      for (const outcome of outcomes) print(`    ${moment(at)}: ${outcome}\n`);
    }
    if (problem !== undefined) print(`  its file cannot be compared: ${problem}\n`);
    if (changes.length > 0) {
      // A name refers to the file in /etc/wireguard.
      const target = file === savedFile(name) ? name : file;
      for (const { message } of differences.slice(0, SHOWN)) print(`  ${message}\n`);
      if (differences.length > SHOWN) print(`  and ${differences.length - SHOWN} more\n`);
      const why = differences.length > 0 ? "to restore this," : "the file has changed;";
      print(`  ${why} "wgd quick reload ${target}" would do:\n`);
    }
    for (const change of changes) print(`    [#] ${change}\n`);
  }
  return 0;
}

function moment(iso: string): string {
  return iso.replace("T", " ").replace(/\..*/, " UTC");
}

/** Runs work that SIGINT and SIGTERM can interrupt. */
async function interruptible(
  work: (signal: AbortSignal) => Promise<void>,
  interrupted: string,
): Promise<number> {
  const interruption = new Interruption();
  const { signal } = interruption;
  try {
    await work(signal);
    return 0;
  } catch (error) {
    // The running program was ended, so its step has failed.
    if (!interruption.caused(error) && !(signal.aborted && error instanceof StepError)) throw error;
    complain(`${shortName()}: ${interrupted}`);
    return interruption.code;
  }
}

/** Reads the name of a backend. @throws {QuickError} If there is no backend with that name. */
function chosenBackend({ text, from }: NonNullable<QuickArguments["backend"]>): Backend {
  try {
    return readBackend(text);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new QuickError(`${from}: ${error.message}`, error.advice);
  }
}

function announce(step: string): void {
  complain(`[#] ${step}`);
}

/** sudo does not pass variables, and a link named wg-quick has no options. */
function withBackend(
  args: readonly string[],
  action: string,
  backend: QuickArguments["backend"],
): readonly string[] {
  const passOn = action === "up" && backend?.from === "WGD_BACKEND" && tool() === "wgd";
  return passOn ? [...args, "--backend", backend.text] : args;
}

/**
 * Runs the same command again by sudo, as wg-quick does, unless we are root.
 *
 * @param alternatives Prints what works without root, in case the user cannot become root.
 */
async function elevate(
  words: readonly string[],
  alternatives: () => Promise<void>,
): Promise<number | undefined> {
  if (Deno.uid() === 0) return undefined;
  // A script is already root, or does not read hints.
  if (Deno.stdin.isTerminal()) await alternatives();
  const prompt = `${shortName()} must be run as root. Please enter the password for %u to continue: `;
  const streams = { stdin: "inherit", stdout: "inherit", stderr: "inherit" } as const;
  try {
    const sudo = new Deno.Command("sudo", { args: ["-p", prompt, "--", ...quickCommand(words)], ...streams })
      .spawn();
    // Ctrl-C also reaches sudo. Its program undoes its work, and this process waits for it.
    Deno.addSignalListener("SIGINT", () => {});
    return (await sudo.status).code;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    complain(`${shortName()}: must be run as root`);
    complain("hint: this machine has no sudo; become root first, for example by su");
    if (!Deno.stdin.isTerminal()) await alternatives();
    return 1;
  }
}

function report(error: unknown): number {
  // The failed program has reported the reason, unless it is missing. wg-quick exits with its exit code.
  if (error instanceof StepError) {
    if (error.missing) complain(`${shortName()}: ${error.message}`);
    complainHint(error);
    return error.code;
  }
  if (error instanceof ConfigError) {
    complain(error.message);
    complain(`${shortName()}: Configuration parsing error`);
    complainHint(error);
    return 1;
  }
  if (!(error instanceof QuickError)) throw error;
  const { message, cause } = error;
  const reason = cause instanceof UapiError ? `: ${strerror(cause.errno)}` : "";
  complain(`${shortName()}: ${message}${reason}`);
  complainHint(error);
  return 1;
}
