/**
 * Runs commands. A failed command is an error of one line.
 *
 * @module
 */

/** The result of a command. */
export interface Finished {
  /** Exit code; 128 + signal number for a killed command, as in a shell. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a command. */
export interface RunOptions {
  /** Text for its standard input; none by default. */
  readonly stdin?: string;
  /** Variables on top of our own environment. */
  readonly env?: Record<string, string>;
  /** Its working directory. @default Ours. */
  readonly cwd?: string;
  /** Milliseconds after which it is killed. @default {60_000} */
  readonly timeout?: number;
}

/** Interfaces are wgd's own unless a test asks for others: where the tests run, the kernel may have WireGuard. */
export const ENVIRONMENT = { LC_ALL: "C", WGD_BACKEND: "wgd" } as const;

/** A failed command, with its arguments and its error output. */
export class CommandError extends Error {
  override name = "CommandError";

  /**
   * @param command The words of the command.
   * @param finished How it ended.
   */
  constructor(readonly command: readonly string[], readonly finished: Finished) {
    const complaint = (finished.stderr.trim() || finished.stdout.trim()).slice(-2000);
    super(`"${command.join(" ")}" ended with ${finished.code}${complaint && `: ${complaint}`}`);
  }
}

/**
 * Runs a command to its end.
 *
 * @param command Its words.
 * @param options Its input, environment and time limit.
 * @returns Its exit code and all it printed; a command over its time limit ends like a killed one.
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, {
    args,
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...ENVIRONMENT, ...options.env },
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => kill(child), options.timeout ?? 60_000);
  try {
    const [output] = await Promise.all([child.output(), feed(child, options.stdin)]);
    const decoder = new TextDecoder();
    return {
      code: output.code,
      stdout: decoder.decode(output.stdout),
      stderr: decoder.decode(output.stderr),
    };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs a command that must succeed.
 *
 * @returns What it printed.
 * @throws {CommandError} If its exit code is not 0.
 */
export async function must(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const finished = await run(command, options);
  if (finished.code !== 0) throw new CommandError(command, finished);
  return finished.stdout;
}

/** Kills a child that may be gone already. */
export function kill(child: Deno.ChildProcess, signal: Deno.Signal = "SIGKILL"): void {
  try {
    child.kill(signal);
  } catch (error) {
    // "Child process has already terminated".
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Waits. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Repeats a question until the answer is not undefined, null or false.
 *
 * @param what The name of the wait, for the error.
 * @param question The question. An exception means "not yet".
 * @param options Milliseconds to wait at most, and between two questions.
 * @returns The answer.
 * @throws {Error} After the time limit. The last exception is its cause.
 */
export async function eventually<T>(
  what: string,
  question: () => T | Promise<T>,
  options: { within?: number; every?: number } = {},
): Promise<NonNullable<T>> {
  const { within = 10_000, every = 20 } = options;
  const end = performance.now() + within;
  let cause: unknown;
  do {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(every);
  } while (performance.now() < end);
  const reason = cause instanceof Error ? `: ${cause.message}` : "";
  throw new Error(`Waited ${within / 1000} s for ${what}${reason}`, { cause });
}

async function feed(child: Deno.ChildProcess, text: string | undefined): Promise<void> {
  if (text === undefined) return;
  const writer = child.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // The command ended without reading its input. Its exit code is more useful than the error of a broken pipe.
  }
}
