/** `wgd exec`. @module */

import { constants } from "node:os";
import { Enclosure } from "../../core/exec/enclosure.ts";
import { type PortForward, readPortForward } from "../../core/config/proxy_rules.ts";
import { has } from "../../core/quick/facts.ts";
import { QuickError } from "../../core/quick/source.ts";
import { resolve, resolvesEndpoints } from "../endpoint.ts";
import { programEnvironment } from "../environment.ts";
import { complainHint } from "../hint.ts";
import { PassedSignals, sendSignal } from "../passed_signals.ts";
import { programName, shortName } from "../program.ts";
import { complain } from "../render/output.ts";
import { FORWARDS_VARIABLE, startForwards } from "../self.ts";

/** The exit codes of shells. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Runs a program whose only network is a tunnel. */
export async function exec(args: string[]): Promise<number> {
  const forwarded = Deno.env.get(FORWARDS_VARIABLE);
  if (forwarded !== undefined) {
    const { serveForwards } = await import("../../core/exec/forwards.ts");
    serveForwards(forwarded);
    return await new Promise<never>(() => {});
  }
  const words = readArguments(args);
  if (typeof words === "string") return usage(words);
  const failure = await whyNotStarted(words.program[0]!);
  if (failure) {
    complain(`${shortName()}: ${words.program[0]}: ${failure.message}`);
    return failure.code;
  }
  return await runInside(words);
}

interface ExecArguments {
  readonly file: string;
  readonly forwards: readonly PortForward[];
  readonly program: readonly string[];
}

/** Reads the command line up to the program and its arguments. @returns A text if there is an error. */
function readArguments(args: readonly string[]): ExecArguments | string {
  const forwards: PortForward[] = [];
  let file: string | undefined;
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (word === "--forward" || word.startsWith("--forward=")) {
      const text = word === "--forward" ? args[++at] : word.slice("--forward=".length);
      if (text === undefined) return "--forward needs a value";
      forwards.push(readPortForward(text));
    } else if (file !== undefined) {
      const program = args.slice(word === "--" ? at + 1 : at);
      return program.length > 0 ? { file, forwards, program } : NO_PROGRAM;
    } else if (word.startsWith("-")) {
      return `Unknown option '${word}'`;
    } else {
      file = word;
    }
  }
  return file === undefined ? "" : NO_PROGRAM;
}

const NO_PROGRAM = "expected a program after the file";

/** Checked first, so that nothing is made for a missing program. */
async function whyNotStarted(program: string): Promise<{ message: string; code: number } | undefined> {
  if (!program.includes("/")) {
    return await has(program) ? undefined : { message: "command not found", code: NOT_FOUND };
  }
  const stat = await Deno.stat(program).catch(() => undefined);
  if (!stat) return { message: "No such file or directory", code: NOT_FOUND };
  const executable = stat.isFile && ((stat.mode ?? 0) & 0o111) !== 0;
  return executable ? undefined : { message: "Permission denied", code: NOT_EXECUTABLE };
}

async function runInside({ file, forwards, program }: ExecArguments): Promise<number> {
  // Before the tunnel, so that a port in use is reported at once.
  const { ForwardListeners } = await import("../../core/exec/forwards.ts");
  using listeners = new ForwardListeners(forwards);
  const enclosure = await Enclosure.open(file, {
    warn: complain,
    resolve,
    resolveEndpoints: resolvesEndpoints(),
    log: (level, message) => level === "error" && complain(`${shortName()}: ${message}`),
  }).catch((error) => {
    if (!(error instanceof QuickError)) throw error;
    complain(`${shortName()}: ${error.message}`);
    complainHint(error);
    complain(`hint: this works without namespaces: ${programName()} proxy ${file} --socks5 1080`);
    return null;
  });
  if (enclosure === null) return 1;
  await using _enclosure = enclosure;
  const helper = forwards.length > 0
    ? startForwards((command) => enclosure.enter(command), listeners.text)
    : undefined;
  // The program does not inherit them.
  listeners[Symbol.dispose]();
  try {
    const [command, ...args] = enclosure.enter(program);
    const signals = new PassedSignals();
    const child = new Deno.Command(command!, { args, clearEnv: true, env: programEnvironment() }).spawn();
    signals.passTo(child);
    const stopped = enclosure.stopped.catch(({ message }: Error) => message);
    const first = await Promise.race([child.status, stopped]);
    if (typeof first === "string") {
      complain(`${shortName()}: the tunnel has ended: ${first}`);
      signals.send("SIGTERM");
    }
    const { code, signal } = await child.status;
    // As in shells.
    return signal === null ? code : 128 + constants.signals[signal as keyof typeof constants.signals];
  } finally {
    if (helper) sendSignal(helper, "SIGKILL");
    await helper?.status;
  }
}

function usage(problem: string): number {
  if (problem !== "") complain(`${shortName()}: ${problem}`);
  complain(
    `Usage: ${programName()} exec <file> [--forward [<address>:]<port>=<host>:<port>]... -- ` +
      "<program> [<argument>]...",
  );
  return 1;
}
