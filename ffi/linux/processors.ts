/**
 * Measures how many processors are idle, and how busy this thread is.
 *
 * @module
 */

/** Ticks per second in /proc/stat (USER_HZ), the same on all machines. */
const TICKS = 100;
/** Fields of a line of /proc/stat: idle, and waiting for a disk. */
const IDLE = 4;
const WAITING = 5;

/** Measures idle time between two calls. */
export class IdleProcessors {
  #ticks = NaN;
  #since = NaN;

  /** The number of processors that were idle since the last call; 0 at the first call and if it is unknown. */
  since(now: number = performance.now()): number {
    let ticks = NaN;
    try {
      // "cpu  user nice system idle iowait …", all processors together (Documentation/filesystems/proc.rst).
      const [line = ""] = Deno.readTextFileSync("/proc/stat").split("\n", 1);
      const fields = line.split(/\s+/);
      ticks = Number(fields[IDLE]) + Number(fields[WAITING]);
    } catch {
      // Without /proc it is unknown.
    }
    const idle = (ticks - this.#ticks) / TICKS / ((now - this.#since) / 1_000);
    this.#ticks = ticks;
    this.#since = now;
    return Number.isFinite(idle) ? Math.max(0, idle) : 0;
  }
}

/** Measures how busy this thread is between two calls. */
export class ThreadTime {
  #nanoseconds = NaN;
  #since = NaN;

  /**
   * The fraction of the time since the last call in which this thread ran or waited for a processor; NaN the first time and
   * if unknown.
   */
  since(now: number = performance.now()): number {
    let nanoseconds = NaN;
    try {
      // Nanoseconds on a processor, nanoseconds of waiting for one, and turns (Documentation/scheduler/sched-stats.rst).
      // While a control group is throttled, its threads count as waiting.
      const [ran, waited] = Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ");
      nanoseconds = Number(ran) + Number(waited);
    } catch {
      // A kernel without CONFIG_SCHED_INFO.
    }
    const busy = (nanoseconds - this.#nanoseconds) / 1e6 / (now - this.#since);
    this.#nanoseconds = nanoseconds;
    this.#since = now;
    return busy;
  }
}
