/**
 * Being told to stop, by Ctrl-C or by a service manager.
 *
 * @module
 */

/** Numbers of signals, as shells make exit codes of them (POSIX, Shell Command Language §2.8.2). */
const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/** SIGINT and SIGTERM end work in order from when this is made. */
export class Interruption {
  readonly #controller = new AbortController();
  #code = 0;

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => {
        this.#code ||= 128 + NUMBERS[signal];
        this.#controller.abort();
      });
    }
  }

  /** Aborted by the first of them. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The exit code that tells which it was. */
  get code(): number {
    return this.#code;
  }

  /** Whether an error is what became of work that was ended. */
  caused(error: unknown): boolean {
    return this.signal.aborted && error === this.signal.reason;
  }
}
