/**
 * An alarm on CLOCK_BOOTTIME. Unlike epoll's timeout it includes suspended time.
 *
 * @module
 */

import { type Arena, ArenaPointer } from "./arena.ts";
import { check, close, libc } from "./libc.ts";
import { CLOCK_BOOTTIME, SOCK_CLOEXEC, SOCK_NONBLOCK, TFD_TIMER_ABSTIME } from "./constants.ts";

/** A one-shot timer that makes its descriptor readable. */
export class TimerFd {
  readonly fd: number;
  readonly #at: number;
  readonly #itimerspec: ArenaPointer;

  constructor(readonly arena: Arena) {
    this.#at = arena.allocate(32);
    this.#itimerspec = new ArenaPointer(arena, this.#at);
    this.fd = check(
      libc().timerfd_create(CLOCK_BOOTTIME, SOCK_NONBLOCK | SOCK_CLOEXEC),
      "making a timer on the boot clock",
    );
  }

  /** Sets the alarm. @param deadline Milliseconds since boot; Infinity turns it off. */
  set(deadline: number): void {
    const { view } = this.arena;
    const at = this.#at;
    const on = Number.isFinite(deadline);
    // All zeros would turn the timer off, so a deadline in the past becomes one nanosecond.
    const seconds = on ? Math.max(0, Math.floor(deadline / 1e3)) : 0;
    const nanoseconds = on
      ? Math.max(1, Math.min(999_999_999, Math.ceil((deadline - seconds * 1e3) * 1e6)))
      : 0;
    view.setUint32(at, 0, true);
    view.setUint32(at + 4, 0, true);
    view.setUint32(at + 8, 0, true);
    view.setUint32(at + 12, 0, true);
    view.setUint32(at + 16, seconds % 2 ** 32, true);
    view.setUint32(at + 20, Math.floor(seconds / 2 ** 32), true);
    view.setUint32(at + 24, nanoseconds, true);
    view.setUint32(at + 28, 0, true);
    check(
      libc().timerfd_settime(this.fd, TFD_TIMER_ABSTIME, this.#itimerspec.value, null),
      "setting the timer on the boot clock",
    );
  }

  /** Makes the descriptor unreadable again after the alarm. */
  acknowledge(): void {
    libc().read(this.fd, this.#itimerspec.value, 8n);
  }

  close(): void {
    close(this.fd);
  }
}
