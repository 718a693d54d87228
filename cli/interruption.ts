/**
 * Interruption by Ctrl-C or by a service manager.
 *
 * @module
 */

/** Signal numbers, which shells add to 128 for exit codes (POSIX, Shell Command Language §2.8.2). */
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Turns SIGHUP, SIGINT and SIGTERM into an abort, from when it is made. */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #again = new AbortController();
  #code = 0;

  constructor() {
    for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
      // SIGHUP stays ignored if the process was started with nohup.
      if (signal === "SIGHUP" && ignoresHangup()) continue;
      Deno.addSignalListener(signal, () => {
        if (this.#code !== 0) this.#again.abort();
        this.#code ||= 128 + NUMBERS[signal];
        this.#controller.abort();
      });
    }
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborted by the second signal, which ends the work at once. */
  get again(): AbortSignal {
    return this.#again.signal;
  }

  /** The exit code for that signal. */
  get code(): number {
    return this.#code;
  }

  /** Whether the first signal was SIGTERM, after which work is finished. */
  get isTermination(): boolean {
    return this.#code === 128 + NUMBERS.SIGTERM;
  }

  /** Whether an error is the result of the interruption. */
  caused(error: unknown): boolean {
    return this.signal.aborted && error === this.signal.reason;
  }
}

/** Whether SIGHUP is ignored (proc_pid_status(5), SigIgn). A Deno program can read this only with all permissions. */
function ignoresHangup(): boolean {
  let status: string;
  try {
    status = Deno.readTextFileSync("/proc/self/status");
  } catch {
    return false;
  }
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (parseInt(mask.slice(-1), 16) & 1) !== 0;
}
