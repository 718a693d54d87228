/**
 * Signals for a program that runs in our place: those that we get are its own.
 *
 * @module
 */

/** Sent by people and by other programs. */
const PASSED = ["SIGHUP", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGALRM"] as const;
/** Sent by the terminal to everybody in the foreground, so that the program has them already. */
const KEYS = ["SIGINT", "SIGQUIT", "SIGTSTP"] as const;

/** Milliseconds in which a program that is told to stop does so. */
const STOPS_WITHIN = 2_000;

/**
 * Passes signals on, from when it is made; before, they end us as ever. It is never undone: Deno looks for listeners some
 * time after a signal has come, and would end us by one that came while the program ran.
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

  /** Sends it to the program; one that is not there yet gets it then. */
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
   * Stops once the program has stopped, so that a shell notices. It may ignore the signal, and in an orphaned process group
   * the kernel does (setpgid(2)); then we go on as well.
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

/** Whether keys of the terminal send signals to our process group, which is the program's too. */
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
