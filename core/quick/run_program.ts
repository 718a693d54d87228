/**
 * Runs programs of the system and hooks, and reads what programs print.
 *
 * @module
 */

/** How long a program has to end before it is killed. */
const END_TIMEOUT = 3_000;

/** How a program is run. */
export interface RunOptions {
  /** Its standard input. The default is this process's. */
  readonly input?: string | undefined;
  /** Additional environment variables. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Aborting it ends the program and its descendants. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with pieces of its standard error. Without this, the program inherits this process's output and standard
   * error.
   */
  readonly onErrors?: (text: string) => void;
}

/**
 * Runs a program to its end.
 *
 * @returns Its exit code.
 * @throws {Deno.errors.NotFound} If there is no such program.
 */
export async function runProgram(
  [program, ...args]: readonly string[],
  { input, env, signal, onErrors }: RunOptions,
): Promise<number> {
  const child = new Deno.Command(program!, {
    args,
    clearEnv: true,
    env: { ...environment(), ...env },
    stdin: input === undefined ? "inherit" : "piped",
    stdout: onErrors ? "null" : "inherit",
    stderr: onErrors ? "piped" : "inherit",
  }).spawn();
  const read = onErrors && readText(child.stderr, onErrors);
  let ending: Promise<void> | undefined;
  const abort = () => void (ending ??= end(child.pid));
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  if (input !== undefined) await write(child.stdin, input).catch(() => {});
  const { code } = await child.status;
  await read;
  signal?.removeEventListener("abort", abort);
  await ending;
  return code;
}

/**
 * Runs a program for its output.
 *
 * @param input Its standard input.
 * @returns What it prints, whatever its exit code; nothing if there is no such program.
 */
export async function readProgram(command: readonly string[], input?: string): Promise<string> {
  return new TextDecoder().decode((await ask(command, input))?.stdout);
}

/** Whether there is such a program and it ends with exit code 0. Its output is not shown. */
export async function succeeds(command: readonly string[], input?: string): Promise<boolean> {
  return (await ask(command, input))?.success ?? false;
}

async function ask(
  [program, ...args]: readonly string[],
  input: string | undefined,
): Promise<Deno.CommandOutput | undefined> {
  try {
    const child = new Deno.Command(program!, {
      args,
      clearEnv: true,
      env: environment(),
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    // The program ended before it had read everything. Its output is complete.
    const written = input === undefined ? undefined : write(child.stdin, input).catch(() => {});
    const [output] = await Promise.all([child.output(), written]);
    return output;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function write(stream: WritableStream<Uint8Array<ArrayBuffer>>, text: string): Promise<void> {
  const writer = stream.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
}

async function readText(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}

/** Ends a process and its descendants. A shell does not pass signals on, so its children would live on. */
async function end(pid: number): Promise<void> {
  let family = [pid, ...await descendants(pid)];
  // The shell is ended first, because it would continue with its next line.
  for (const member of family) tell(member, "SIGTERM");
  for (let waited = 0; waited < END_TIMEOUT && family.length > 0; waited += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    family = family.filter(runs);
  }
  for (const member of family) tell(member, "SIGKILL");
}

/** Whether a process has not ended. A zombie has ended (proc_pid_stat(5)). */
function runs(pid: number): boolean {
  try {
    return /\) [^ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

async function descendants(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
  const children = text.split(" ").filter(Boolean).map(Number);
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

function tell(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/**
 * This process's environment with wg-quick's locale, without the variables that the launcher of `dist/wgd` sets for
 * wgd.
 */
function environment(): Record<string, string> {
  const entries = Object.entries(Deno.env.toObject()).filter(([name]) => !/^(WGD_|DENO_)/.test(name));
  return { ...Object.fromEntries(entries), LC_ALL: "C" };
}
