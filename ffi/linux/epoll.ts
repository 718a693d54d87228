/**
 * Waits for many descriptors at once.
 *
 * @module
 */

import { type Arena, ArenaPointer } from "./arena.ts";
import { SystemError } from "./system_error.ts";
import { check, close, errno, libc } from "./libc.ts";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_EVENT, Errno, O_CLOEXEC } from "./constants.ts";

/** Events per wait. The next wait reports the others. */
const EVENTS = 64;

/** An epoll instance. Events are identified by the descriptor. It is level-triggered. */
export class Epoll {
  readonly fd: number;
  readonly #at: number;
  readonly #events: ArenaPointer;
  readonly #event = new DataView(new ArrayBuffer(16));

  constructor(readonly arena: Arena) {
    this.#at = arena.allocate(EVENTS * EPOLL_EVENT.size);
    this.#events = new ArenaPointer(arena, this.#at);
    this.fd = check(libc().epoll_create1(O_CLOEXEC), "making an epoll instance");
  }

  /** Watches a descriptor for `events` (EPOLLIN, EPOLLOUT; errors and hang-ups are always reported). */
  add(fd: number, events: number): void {
    this.#control(EPOLL_CTL_ADD, fd, events);
  }

  /** Changes the watched events of a descriptor. */
  modify(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events);
  }

  /** Stops watching a descriptor. Does nothing if the descriptor is not watched. */
  remove(fd: number): void {
    libc().epoll_ctl(this.fd, EPOLL_CTL_DEL, fd, this.#event.buffer);
  }

  /**
   * Blocks until a descriptor is ready.
   *
   * @param timeout Milliseconds; -1 waits for ever.
   * @returns How many are ready; 0 after the timeout or a signal.
   */
  wait(timeout: number): number {
    const ready = libc().epoll_wait(this.fd, this.#events.value, EVENTS, timeout);
    if (ready >= 0) return ready;
    if (errno() === Errno.EINTR) return 0;
    throw new SystemError("waiting for events", errno());
  }

  /** The descriptor of the i-th ready one. */
  readyFd(i: number): number {
    return this.arena.view.getInt32(this.#at + i * EPOLL_EVENT.size + EPOLL_EVENT.data, true);
  }

  /** The events of the i-th ready one. */
  readyEvents(i: number): number {
    return this.arena.view.getUint32(this.#at + i * EPOLL_EVENT.size + EPOLL_EVENT.events, true);
  }

  close(): void {
    close(this.fd);
  }

  #control(operation: number, fd: number, events: number): void {
    this.#event.setUint32(EPOLL_EVENT.events, events, true);
    this.#event.setInt32(EPOLL_EVENT.data, fd, true);
    check(libc().epoll_ctl(this.fd, operation, fd, this.#event.buffer), "watching a descriptor");
  }
}
