/**
 * When lanes are started, and when they end: started one by one while the engine's thread is busy with much traffic and a
 * processor has nothing to do; all at once with much traffic if the user has set their number; ended when there was little
 * traffic for a while.
 *
 * @module
 */

/** Milliseconds over which traffic and time are added up. */
const WINDOW = 100;
/** Windows in a row in which there was enough to do, before a lane is started. */
const PATIENCE = 2;
/** The part of a window in which the engine was at work. */
const BUSY = 0.5;
/** Bytes in a window that are much. */
const MUCH = 1 << 18;
/** What a lane needs of the processors. With less, it would take its time from others, the engine among them. */
const IDLE = 0.6;
/** Milliseconds without much traffic after which lanes end. */
const LINGER = 10_000;

/** What there is to do about lanes. */
export type Decision = "start one" | "start all" | "end all" | "nothing";

/** Adds up what the engine does. */
export class LanePolicy {
  #since = -Infinity;
  #bytes = 0;
  #worked = 0;
  #busyWindows = 0;
  #lastMuch = -Infinity;

  /**
   * @param considerate Whether the engine has to be busy, and processors idle.
   * @param idleProcessors How many were since it was last called.
   */
  constructor(readonly considerate: boolean, readonly idleProcessors: () => number) {}

  /** When lanes that have nothing to do are to be looked at again. */
  get nextLook(): number {
    return this.#lastMuch + LINGER;
  }

  /** Counts bytes that were read in a turn, if there were many. */
  count(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whether a turn's end has to be told. */
  get counting(): boolean {
    return this.#bytes > 0;
  }

  /**
   * A turn has ended.
   *
   * @param started When it began, in milliseconds.
   * @param lanes How many lanes there are.
   */
  turnEnded(started: number, now: number, lanes: number): Decision {
    this.#worked += now - started;
    const passed = now - this.#since;
    if (lanes > 0 && this.#lastMuch === -Infinity) this.#lastMuch = now;
    if (passed >= WINDOW) {
      const much = this.#bytes >= MUCH * passed / WINDOW;
      const busy = much && passed < 2 * WINDOW && (!this.considerate || this.#worked >= BUSY * passed);
      this.#since = now;
      this.#bytes = this.#worked = 0;
      if (much) this.#lastMuch = now;
      const idle = this.considerate && (busy || this.#busyWindows > 0) ? this.idleProcessors() : 0;
      this.#busyWindows = busy ? this.#busyWindows + 1 : 0;
      if (this.#busyWindows >= PATIENCE && (!this.considerate || idle >= IDLE)) {
        this.#busyWindows = 0;
        return this.considerate ? "start one" : "start all";
      }
    }
    return lanes > 0 && now >= this.nextLook ? "end all" : "nothing";
  }
}
