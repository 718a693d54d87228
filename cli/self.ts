/**
 * Command lines that run this program again.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FRUGAL, FRUGAL_INTERFACE, programFlags } from "../core/v8_flags.ts";

/** A command line and additional environment variables. */
export interface SelfCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The command that starts this program. Its arguments are appended to `args`. */
export function selfCommand(): SelfCommand {
  const program = installableProgram();
  if (program !== undefined) {
    return { command: program, args: [], env: Deno.build.standalone ? {} : { WGD_AS: "wgd" } };
  }
  return {
    command: Deno.execPath(),
    args: ["run", "--allow-all", "--quiet", `--v8-flags=${programFlags(Deno.build.arch)}`, Deno.mainModule],
    env: {},
  };
}

/**
 * The command line that calls `wgd quick` again without our environment, as through sudo. There, only the name of the
 * file decides which tool this program is.
 */
export function quickCommand(words: readonly string[]): string[] {
  const { command, args } = selfCommand();
  const isWgQuick = command.endsWith("/wg-quick");
  return [command, ...args, ...(isWgQuick ? [] : ["quick"]), ...words];
}

/**
 * The command line that repairs an interface. The interface's name is appended. The environment is the same, except for
 * the variables of wgd.
 */
export function watchCommand(): string[] {
  const { command, args, env } = selfCommand();
  const variables = Object.entries({ ...env, WGD_ARGV0: "" }).map(([name, value]) => `${name}=${value}`);
  return ["env", ...variables, command, ...args, "quick", "watch"];
}

/** The executable of this program; undefined if it runs from its sources. */
export function installableProgram(): string | undefined {
  // The launcher of a self-extracting wgd passes its path, because the running program is the Deno that it unpacked.
  return Deno.env.get("WGD_SELF") || (Deno.build.standalone ? Deno.execPath() : undefined);
}

/**
 * The same without the launcher of a self-extracting wgd, whose checks are already done: for a process that starts
 * while this one is running.
 */
function sameAgain(): SelfCommand {
  if (Deno.build.standalone || !Deno.env.has("WGD_SELF")) return selfCommand();
  const isolated = ["--no-config", "--no-lock", "--no-remote", "--no-npm", "--no-code-cache"];
  const args = [
    "run",
    "--allow-all",
    "--quiet",
    ...isolated,
    `--v8-flags=${programFlags(Deno.build.arch)}`,
    Deno.mainModule,
  ];
  return { command: Deno.execPath(), args, env: { WGD_ARGV0: "wgd" } };
}

/**
 * The same with few of Deno's permissions. A compiled wgd has fixed permissions, so it gives up permissions at run
 * time.
 */
export function narrowSelf(permissions: readonly string[]): SelfCommand {
  const { command, args, env } = sameAgain();
  // Threads and imports on demand (scripts/compile/bundle.ts hides these from Deno) need permission to read files.
  const folder = !Deno.build.standalone ? `,${join(fileURLToPath(Deno.mainModule), "../..")}` : "";
  const readable = permissions.map((word) => word.startsWith("--allow-read=") ? word + folder : word);
  const narrow = (word: string) => word === "--allow-all" ? readable : [word];
  return { command, args: withV8Flag(args.flatMap(narrow), FRUGAL), env };
}

/** The command that runs an interface in the foreground. The interface's name is appended. */
export function interfaceCommand(): SelfCommand {
  const { command, args, env } = sameAgain();
  // The C library gives nearly every thread an arena, which keeps its freed memory. Threads share two arenas.
  const arenas = { MALLOC_ARENA_MAX: Deno.env.get("MALLOC_ARENA_MAX") ?? "2" };
  return {
    command,
    args: [...withV8Flag(args, FRUGAL_INTERFACE), "run", "--foreground"],
    env: { ...env, ...arenas },
  };
}

/** Adds a flag. The flags of a compiled wgd are fixed. */
function withV8Flag(args: readonly string[], flag: string): string[] {
  return args.map((word) => word.startsWith("--v8-flags=") ? `${word},${flag}` : word);
}

/** Makes an interface's process wait for a line before it begins, and write a byte when it is ready. */
export const WAIT_VARIABLE = "WGD_WAIT";

/** The line that lets an interface's process begin. */
export interface Beginning {
  /** Features to turn off, separated by commas. */
  readonly disable: string;
  /** The number of lanes; empty for the default. */
  readonly lanes: string;
}

/** An interface's process that was started and waits. */
export interface WaitingProcess {
  /** The interface. */
  readonly name: string;
  /**
   * Lets it make the interface.
   *
   * @returns 0 when the interface can be used, else an exit code. The process has reported the reason.
   */
  begin(beginning: Beginning): Promise<number>;
  /** Ends it, if it has not begun. It also ends if this process ends for any reason. */
  dismiss(): Promise<void>;
}

/**
 * Starts an interface's process. Deno cannot fork, so this is a separate process. It loads its code, reads a line,
 * makes the interface, and writes a byte when the interface is ready.
 */
export function startWaiting(name: string): WaitingProcess {
  const { command, args, env } = interfaceCommand();
  const child = new Deno.Command(command, {
    args: [...args, name],
    env: { ...env, [WAIT_VARIABLE]: "1" },
    stdin: "piped",
    stdout: "piped",
    detached: true,
  }).spawn();
  const input = child.stdin.getWriter();
  // If it has already ended, the exit code is known.
  const close = () => input.close().catch(() => {});
  return {
    name,
    async begin({ disable, lanes }) {
      await input.write(new TextEncoder().encode(`${disable} ${lanes}\n`)).catch(() => {});
      await close();
      const { value } = await child.stdout.getReader().read();
      if (value !== undefined) return 0;
      const { code } = await child.status;
      return code === 0 ? 1 : code;
    },
    dismiss: close,
  };
}

/**
 * In an interface's process: waits for the line that lets it begin.
 *
 * @returns Null if the process that started this one has ended.
 */
export async function waitToBegin(): Promise<Beginning | null> {
  let text = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(256);
  while (!text.endsWith("\n")) {
    const length = await Deno.stdin.read(buffer);
    if (length === null) return null;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  const [disable = "", lanes = ""] = text.trimEnd().split(" ");
  return { disable, lanes };
}

/** Makes a process inside an enclosure serve these forwards. */
export const FORWARDS_VARIABLE = "WGD_FORWARDS";

/** Starts the process that serves forwards. @param enter The command that starts a program inside the enclosure. */
export function startForwards(
  enter: (command: readonly string[]) => readonly string[],
  forwards: string,
): Deno.ChildProcess {
  const { command, args, env } = sameAgain();
  const [program, ...words] = enter([command, ...args, "exec"]);
  return new Deno.Command(program!, {
    args: words,
    env: { ...env, [FORWARDS_VARIABLE]: forwards },
    stdin: "null",
    stdout: "null",
    // Ctrl-C is only for the program.
    detached: true,
  }).spawn();
}
