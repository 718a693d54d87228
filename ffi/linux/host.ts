/**
 * A thread that waits for descriptors and the clock, and calls what belongs to each.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import { Clock } from "./clock.ts";
import { EPOLLIN, EPOLLOUT } from "./constants.ts";
import { Epoll } from "./epoll.ts";
import { TimerFd } from "./timerfd.ts";

/** What a descriptor is watched for. That it broke is reported in any case. */
export type Interest = "reading" | "writing" | "nothing";

const EVENTS: Readonly<Record<Interest, number>> = { reading: EPOLLIN, writing: EPOLLOUT, nothing: 0 };

/** An epoll loop with a timer and clocks. */
export class LinuxHost {
  readonly #epoll: Epoll;
  readonly #timer: TimerFd;
  readonly #clock: Clock;
  /** What to call when a descriptor is ready. */
  readonly #handlers = new Map<number, () => void>();
  /** Descriptors that the last `wait` found ready. */
  #ready = 0;
  /** What the timer is set to, in milliseconds since boot. */
  #alarmAt = Infinity;

  /** @throws {SystemError} If there is no descriptor for it. */
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

  /** Calls `ready` in every `dispatch` for which the descriptor is ready. */
  watch(fd: number, ready: () => void, interest: Interest = "reading"): void {
    this.#epoll.add(fd, EVENTS[interest]);
    this.#handlers.set(fd, ready);
  }

  /** Changes what a descriptor is watched for. */
  change(fd: number, interest: Interest): void {
    this.#epoll.modify(fd, EVENTS[interest]);
  }

  /** Stops watching a descriptor. */
  forget(fd: number): void {
    this.#epoll.remove(fd);
    this.#handlers.delete(fd);
  }

  /** Has `wait` end at this time, in milliseconds since boot. */
  alarm(at: number): void {
    // An alarm that comes too early is a turn that finds nothing to do. To set it later each time would cost more.
    if (at >= this.#alarmAt) return;
    this.#timer.set(at);
    this.#alarmAt = at;
  }

  /** Finds out which descriptors are ready. @param block Waits until one is, or the alarm is due. */
  wait(block: boolean): void {
    this.#ready = this.#epoll.wait(block ? -1 : 0);
  }

  /** Whether the last `wait` found nothing ready. */
  get idle(): boolean {
    return this.#ready === 0;
  }

  /** Calls what belongs to the descriptors that the last `wait` found ready. */
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
