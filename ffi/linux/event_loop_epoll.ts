/**
 * Reports ready descriptors to a program with an event loop. One of Deno's threads waits in epoll for all of them, so
 * the program's thread never blocks. Waking the program takes as long as with Deno's own sockets, and less processor
 * time (tests/bench/FINDINGS.md).
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { BufferArena } from "./arena.ts";
import { EPOLL_EVENT, EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP } from "./constants.ts";
import { Epoll } from "./epoll.ts";
import { closeEventFd, makeEventFd, ringEventFd } from "./eventfd.ts";

const SYMBOLS = {
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32", nonblocking: true },
} as const;

/** Events taken per wait. */
const EVENTS = 64;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

/** Waits for descriptors on a program's event loop. */
export class EventLoopEpoll {
  readonly #epoll = new Epoll(new BufferArena(EVENTS * EPOLL_EVENT.size));
  readonly #handlers = new Map<number, { wake(): void }>();
  /** Ends the wait. */
  readonly #bell: number;
  #ending = false;
  /** Resolves when the thread no longer waits. */
  readonly ended: Promise<void>;

  /** @throws {Error} If this is not Linux with glibc. */
  constructor() {
    library ??= Deno.dlopen("libc.so.6", SYMBOLS);
    this.#bell = makeEventFd();
    this.#epoll.add(this.#bell, EPOLLIN);
    this.ended = this.#run(library.symbols);
  }

  /** Calls `ready` once when the descriptor can be read. It is called again only after {@linkcode rearm}. */
  watch(fd: number, ready: () => void): void {
    this.#epoll.add(fd, EPOLLIN | EPOLLONESHOT);
    this.#handlers.set(fd, { wake: ready });
  }

  /**
   * Wakes the handler if something has arrived, and whenever more arrives or the connection ends (edge-triggered, epoll(7)).
   * It may also be woken for no reason, as descriptors are reused.
   */
  watchEdges(fd: number, handler: { wake(): void }): void {
    this.#epoll.add(fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
    this.#handlers.set(fd, handler);
  }

  /**
   * Wakes the handler once: when something has arrived or the stream has ended, when there is room for sending, or, in any
   * case, when the connection has failed (epoll_ctl(2)).
   */
  watchOnce(fd: number, handler: { wake(): void }, arrivals: boolean, room: boolean): void {
    const events = EPOLLONESHOT | (arrivals ? EPOLLIN : 0) | (room ? EPOLLOUT : 0);
    if (this.#handlers.has(fd)) return this.#epoll.modify(fd, events);
    this.#epoll.add(fd, events);
    this.#handlers.set(fd, handler);
  }

  /** Reports the descriptor again when it can be read. */
  rearm(fd: number): void {
    this.#epoll.modify(fd, EPOLLIN | EPOLLONESHOT);
  }

  /** Stops reporting a descriptor. */
  forget(fd: number): void {
    if (this.#handlers.delete(fd)) this.#epoll.remove(fd);
  }

  /** Stops reporting all descriptors. */
  close(): void {
    this.#ending = true;
    ringEventFd(this.#bell);
  }

  async #run({ epoll_wait }: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"]): Promise<void> {
    const events = new Uint8Array(EVENTS * EPOLL_EVENT.size);
    const view = new DataView(events.buffer);
    while (!this.#ending) {
      // It is negative after a signal.
      const count = await epoll_wait(this.#epoll.fd, events, EVENTS, -1);
      for (let i = 0; i < count; i++) {
        this.#handlers.get(view.getInt32(i * EPOLL_EVENT.size + EPOLL_EVENT.data, true))?.wake();
      }
      // Starting a wait takes as long as a system call or two. What follows from these events goes first.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#epoll.close();
    closeEventFd(this.#bell);
  }
}
