/**
 * Passes signals to a program that runs on behalf of this process.
 *
 * @module
 */

/** Signals from users and other programs. */
const PASSED = ["SIGHUP", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGALRM"] as const;
/** Signals that the terminal sends to all processes in the foreground, so the program has already received them. */
const KEYS = ["SIGINT", "SIGQUIT", "SIGTSTP"] as const;

/** Milliseconds within which a program stops after a stop signal. */
const STOPS_WITHIN = 2_000;

/**
 * Passes signals on from its construction; before that, they end this process as usual. It is never undone, because
 * Deno looks for listeners some time after a signal has arrived, and would end this process by a signal that arrived
 * while the program ran.
 */
export class PassedSignals {
  #child: Deno.ChildProcess | undefined;
  readonly #waiting: Deno.Signal[] = [];

  constructor() {
    for (const signal of PASSED) Deno.addSignalListener(signal, () => this.send(signal));
    for (const signal of KEYS) {
      Deno.addSignalListener(signal, () => {
        if (!isForeground()) this.send(signal);
        if (signal === "SIGTSTP") this.#stopWithProgram();
      });
    }
  }

  /** Sends it to the program, or when the program starts. */
  send(signal: Deno.Signal): void {
    if (this.#child === undefined) {
      this.#waiting.push(signal);
      return;
    }
    sendSignal(this.#child, signal);
  }

  /** The program. */
  passTo(child: Deno.ChildProcess): void {
    this.#child = child;
    for (const signal of this.#waiting.splice(0)) this.send(signal);
  }

  /**
   * Stops this process when the program has stopped, so that a shell detects it. If the program ignores the signal, or
   * the kernel does in an orphaned process group (setpgid(2)), this process continues as well.
   */
  async #stopWithProgram(): Promise<void> {
    for (const begun = performance.now(); performance.now() < begun + STOPS_WITHIN;) {
      if (this.#child && isStopped(this.#child.pid)) return Deno.kill(Deno.pid, "SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Sends a signal to a child that may have ended. */
export function sendSignal(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // "Child process has already terminated".
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Whether the terminal sends signals to this process group, which is also the program's. */
function isForeground(): boolean {
  const [, , group, , terminal, foreground] = fields("self");
  return terminal !== "0" && group === foreground;
}

function isStopped(pid: number): boolean {
  try {
    return fields(`${pid}`)[0] === "T";
  } catch (error) {
    // It has ended.
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A process's state and what follows it (proc_pid_stat(5)). */
function fields(process: string): string[] {
  const stat = Deno.readTextFileSync(`/proc/${process}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
