/**
 * A loop that waits for descriptors and the clock, and calls the function of each.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import { Clock } from "./clock.ts";
import { EPOLLIN, EPOLLOUT } from "./constants.ts";
import { Epoll } from "./epoll.ts";
import { TimerFd } from "./timerfd.ts";

/** The watched events of a descriptor. Errors are always reported. */
export type Interest = "reading" | "writing" | "nothing";

const EVENTS: Readonly<Record<Interest, number>> = { reading: EPOLLIN, writing: EPOLLOUT, nothing: 0 };

/** An epoll loop with a timer and clocks. */
export class LinuxHost {
  readonly #epoll: Epoll;
  readonly #timer: TimerFd;
  readonly #clock: Clock;
  /** The functions to call when a descriptor is ready. */
  readonly #handlers = new Map<number, () => void>();
  /** Descriptors that the last `wait` found ready. */
  #ready = 0;
  /** The time of the timer, in milliseconds since boot. */
  #alarmAt = Infinity;

  /** @throws {SystemError} If there are no more descriptors. */
  constructor(arena: Arena) {
    this.#clock = new Clock(arena);
    this.#epoll = new Epoll(arena);
    try {
      this.#timer = new TimerFd(arena);
    } catch (error) {
      this.#epoll.close();
      throw error;
    }
    try {
      this.watch(this.#timer.fd, () => {
        this.#timer.acknowledge();
        this.#alarmAt = Infinity;
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Milliseconds since boot, suspended time included. */
  boot(): number {
    return this.#clock.boot();
  }

  /** Nanoseconds since 1970. */
  wall(): bigint {
    return this.#clock.wall();
  }

  /** Calls `ready` in every `dispatch` in which the descriptor is ready. */
  watch(fd: number, ready: () => void, interest: Interest = "reading"): void {
    this.#epoll.add(fd, EVENTS[interest]);
    this.#handlers.set(fd, ready);
  }

  /** Changes the watched events of a descriptor. */
  change(fd: number, interest: Interest): void {
    this.#epoll.modify(fd, EVENTS[interest]);
  }

  /** Stops watching a descriptor. */
  forget(fd: number): void {
    this.#epoll.remove(fd);
    this.#handlers.delete(fd);
  }

  /** Makes `wait` end at this time, in milliseconds since boot. */
  alarm(at: number): void {
    // An alarm that comes too early only causes an empty turn. Setting it later each time would take more time.
    if (at >= this.#alarmAt) return;
    this.#timer.set(at);
    this.#alarmAt = at;
  }

  /** Finds the descriptors that are ready. @param block Whether to wait until one is ready or the alarm is due. */
  wait(block: boolean): void {
    this.#ready = this.#epoll.wait(block ? -1 : 0);
  }

  /** Whether the last `wait` found nothing ready. */
  get idle(): boolean {
    return this.#ready === 0;
  }

  /** Calls the functions of the descriptors that the last `wait` found ready. */
  dispatch(): void {
    const ready = this.#ready;
    this.#ready = 0;
    for (let i = 0; i < ready; i++) this.#handlers.get(this.#epoll.readyFd(i))?.();
  }

  close(): void {
    this.#handlers.clear();
    this.#timer.close();
    this.#epoll.close();
  }
}
