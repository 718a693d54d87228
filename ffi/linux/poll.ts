/**
 * Waits for descriptors without blocking the event loop.
 *
 * @module
 */

/** `struct pollfd` (poll.h). */
const POLLFD = { events: 4, size: 8 };
const POLLIN = 1;

/** Not in libc.ts, because this call blocks one of Deno's threads. */
const SYMBOLS = {
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
} as const;

/** Waits until something can be read. */
export class Poll implements Disposable {
  readonly #library = Deno.dlopen("libc.so.6", SYMBOLS);

  /**
   * Ends when one of the descriptors can be read or the time is over. A signal ends it early.
   *
   * @param milliseconds -1 waits without end.
   */
  async wait(fds: readonly number[], milliseconds: number): Promise<void> {
    const set = new Uint8Array(fds.length * POLLFD.size);
    const view = new DataView(set.buffer);
    fds.forEach((fd, at) => {
      view.setInt32(at * POLLFD.size, fd, true);
      view.setInt16(at * POLLFD.size + POLLFD.events, POLLIN, true);
    });
    await this.#library.symbols.poll(set, BigInt(fds.length), milliseconds);
  }

  /** No call of `wait` may be pending. */
  [Symbol.dispose](): void {
    this.#library.close();
  }
}
