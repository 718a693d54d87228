/**
 * Descriptors that a program with an event loop is told of. One thread of Deno's own waits in epoll for all of them, so
 * the program's thread never blocks. To be woken by it takes as long as by a socket of Deno's own, and less processor time
 * (tests/bench/FINDINGS.md).
 *
 * @module
 */

import { BufferArena } from "./arena.ts";
import { EPOLL_EVENT, EPOLLIN, EPOLLONESHOT } from "./constants.ts";
import { Epoll } from "./epoll.ts";
import { closeEventFd, makeEventFd, ringEventFd } from "./eventfd.ts";

const SYMBOLS = {
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32", nonblocking: true },
} as const;

/** Events taken per wait. */
const EVENTS = 64;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

/** Waits for descriptors of a program's event loop. */
export class EventLoopEpoll {
  readonly #epoll = new Epoll(new BufferArena(EVENTS * EPOLL_EVENT.size));
  readonly #handlers = new Map<number, () => void>();
  /** Ends the wait. */
  readonly #bell: number;
  #ending = false;
  /** Resolves when nobody waits any more. */
  readonly ended: Promise<void>;

  /** @throws {Error} If this is no Linux with glibc. */
  constructor() {
    library ??= Deno.dlopen("libc.so.6", SYMBOLS);
    this.#bell = makeEventFd();
    this.#epoll.add(this.#bell, EPOLLIN);
    this.ended = this.#run(library.symbols);
  }

  /** Calls `ready` once when the descriptor can be read. {@linkcode rearm} has it called again. */
  watch(fd: number, ready: () => void): void {
    this.#epoll.add(fd, EPOLLIN | EPOLLONESHOT);
    this.#handlers.set(fd, ready);
  }

  /** Nothing is left to be read: tells when that changes. */
  rearm(fd: number): void {
    this.#epoll.modify(fd, EPOLLIN | EPOLLONESHOT);
  }

  /** Tells of it no more. */
  forget(fd: number): void {
    this.#epoll.remove(fd);
    this.#handlers.delete(fd);
  }

  /** Tells of nothing any more. */
  close(): void {
    this.#ending = true;
    ringEventFd(this.#bell);
  }

  async #run({ epoll_wait }: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"]): Promise<void> {
    const events = new Uint8Array(EVENTS * EPOLL_EVENT.size);
    const view = new DataView(events.buffer);
    while (!this.#ending) {
      // Below 0 after a signal.
      const count = await epoll_wait(this.#epoll.fd, events, EVENTS, -1);
      for (let i = 0; i < count; i++) {
        this.#handlers.get(view.getInt32(i * EPOLL_EVENT.size + EPOLL_EVENT.data, true))?.();
      }
    }
    this.#epoll.close();
    closeEventFd(this.#bell);
  }
}
