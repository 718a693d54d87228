/**
 * Signals for a program that runs in our place: those that we get are its own.
 *
 * @module
 */

/** Numbers of signals, which shells add to 128 for exit codes (signal(7), x86-64 and arm64). */
export const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

/** Sent by people and by other programs. */
const PASSED = ["SIGHUP", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGALRM"] as const;
/** Sent by the terminal to everybody in the foreground, so that the program has them already. */
const KEYS = ["SIGINT", "SIGQUIT", "SIGTSTP"] as const;

/** Passes signals on, from when it is made; before, they end us as ever. */
export class PassedSignals implements Disposable {
  #child: Deno.ChildProcess | undefined;
  readonly #waiting: Deno.Signal[] = [];
  readonly #listeners: [Deno.Signal, () => void][] = [];

  constructor() {
    for (const signal of PASSED) this.#on(signal, () => this.send(signal));
    for (const signal of KEYS) {
      this.#on(signal, () => {
        if (!isForeground()) this.send(signal);
        // We stop as the program does, so that a shell notices.
        if (signal === "SIGTSTP") Deno.kill(Deno.pid, "SIGSTOP");
      });
    }
  }

  /** Sends it to the program; one that is not there yet gets it then. */
  send(signal: Deno.Signal): void {
    if (this.#child === undefined) {
      this.#waiting.push(signal);
      return;
    }
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** The program. */
  passTo(child: Deno.ChildProcess): void {
    this.#child = child;
    for (const signal of this.#waiting.splice(0)) this.send(signal);
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
  }

  #on(signal: Deno.Signal, listener: () => void): void {
    Deno.addSignalListener(signal, listener);
    this.#listeners.push([signal, listener]);
  }
}

/** Whether keys of the terminal send signals to our process group, which is the program's too (proc_pid_stat(5)). */
function isForeground(): boolean {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return terminal !== "0" && group === foreground;
}
