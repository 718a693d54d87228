/**
 * Decides how many lanes there are, and how many of them are used.
 *
 * If the user has set a number, all are used while there is much traffic. Otherwise the engine tries: while it is busy
 * and processors are idle, it uses one more lane and keeps it if this increases the throughput. If no processor is idle,
 * it tries to use no lanes, and keeps that if the throughput stays the same, because on a fully used machine lanes only
 * take time from each other. The time until a failed trial is repeated grows.
 *
 * Lanes end after some time with little traffic or without use.
 *
 * @module
 */

/** Milliseconds over which traffic and time are added up. */
const WINDOW = 50;
/**
 * The number of windows that are evaluated together. The windows before a change and the first one after it do not
 * count.
 */
const LOOK = 4;
/** The fraction of the time in which a busy engine works. */
const BUSY = 0.5;
/** Bytes in a window that count as much traffic. */
const MUCH = 1 << 17;
/** The minimum number of idle processors for one more lane. With fewer, it would take time from other threads. */
const IDLE = 0.3;
/** With fewer idle processors than this, using no lanes is tried. */
const FULL = 0.1;
/** The throughput with one more lane must grow by this factor. */
const GAIN = 1.08;
/** The throughput without lanes may shrink by this factor. */
const LOSS = 0.95;
/** Milliseconds until a failed trial is repeated: at first, and at most. */
const MORE_PAUSES = { first: 5_000, last: 300_000 };
const NONE_PAUSES = { first: 1_000, last: 30_000 };
/** Milliseconds without use after which lanes end. */
const LINGER = 10_000;

/** The trial in progress. */
interface Trial {
  readonly kind: "one more" | "none";
  /** The number of lanes that were used before. */
  readonly before: number;
  /** The throughput before, in bytes per millisecond. */
  readonly rate: number;
}

/** When to repeat a failed trial. */
class Pause {
  until = -Infinity;
  #length: number;

  constructor(readonly lengths: { readonly first: number; readonly last: number }) {
    this.#length = lengths.first;
  }

  /** The trial failed. */
  lengthen(now: number): void {
    this.until = now + this.#length;
    this.#length = Math.min(2 * this.#length, this.lengths.last);
  }

  /** The trial succeeded. */
  reset(now: number): void {
    this.until = now;
    this.#length = this.lengths.first;
  }
}

/** Measures the traffic and work of the engine. */
export class LanePolicy {
  /** The number of lanes to use. If there are fewer, they must be started. */
  wanted = 0;
  #since = -Infinity;
  #bytes = 0;
  #worked = 0;
  /**
   * The last consecutive windows with much traffic: bytes per millisecond, whether the engine was busy, idle
   * processors.
   */
  readonly #windows: { rate: number; busy: boolean; idle: number }[] = [];
  #trial: Trial | null = null;
  readonly #untilMore = new Pause(MORE_PAUSES);
  readonly #untilNone = new Pause(NONE_PAUSES);
  #lastUse = -Infinity;

  /**
   * @param limit The maximum number of lanes.
   * @param considerate Whether to find the best number by trials. If not, all lanes are used.
   * @param idleProcessors The number of processors that were idle since the last call.
   */
  constructor(
    readonly limit: number,
    readonly considerate: boolean,
    readonly idleProcessors: () => number,
  ) {}

  /** When to check idle lanes again. */
  get nextLook(): number {
    return this.#lastUse + LINGER;
  }

  /** Counts the bytes of a turn, if there were many. */
  count(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whether the end of a turn must be reported. */
  get counting(): boolean {
    return this.#bytes > 0;
  }

  /**
   * A turn has ended.
   *
   * @param began When it did, in milliseconds.
   * @param lanes How many lanes there are that can be used.
   * @returns Whether lanes are to end.
   */
  turnEnded(began: number, now: number, lanes: number): boolean {
    this.#worked += now - began;
    const passed = now - this.#since;
    if (passed >= WINDOW) {
      this.#endWindow(now, passed, lanes);
      this.#since = now;
      this.#bytes = this.#worked = 0;
    }
    if (this.#lastUse === -Infinity) this.#lastUse = now;
    if (now < this.nextLook) return false;
    this.#abandon();
    this.wanted = 0;
    this.#lastUse = -Infinity;
    return true;
  }

  #endWindow(now: number, passed: number, lanes: number): void {
    const much = passed < 2 * WINDOW && this.#bytes >= MUCH * passed / WINDOW;
    if (!much) {
      this.#abandon();
      // The last reading may be old.
      if (this.considerate && this.#bytes > 0) this.idleProcessors();
      return;
    }
    if (this.wanted > 0) this.#lastUse = now;
    if (!this.considerate) {
      this.wanted = this.limit;
      return;
    }
    const idle = this.idleProcessors();
    // A lane that was started needs some time.
    if (lanes < this.wanted) return;
    this.#windows.push({ rate: this.#bytes / passed, busy: this.#worked >= BUSY * passed, idle });
    const changed = this.#trial === null ? 0 : 1;
    if (this.#windows.length < LOOK + changed) return;
    if (this.#trial === null) this.#consider(now);
    else this.#judge(this.#trial, now);
    if (this.#windows.length > LOOK) this.#windows.shift();
  }

  /** Whether to begin a trial. */
  #consider(now: number): void {
    const { wanted } = this;
    const idle = mean(this.#windows.map(({ idle }) => idle));
    const busy = this.#windows.every(({ busy }) => busy);
    if (wanted < this.limit && busy && idle >= IDLE && now >= this.#untilMore.until) {
      this.#try("one more", wanted + 1);
    } else if (wanted > 0 && idle < FULL && now >= this.#untilNone.until) {
      this.#try("none", 0);
    }
  }

  #try(kind: Trial["kind"], wanted: number): void {
    this.#trial = { kind, before: this.wanted, rate: this.#rate };
    this.#use(wanted);
  }

  #judge({ kind, before, rate }: Trial, now: number): void {
    this.#windows.shift();
    const better = this.#rate / rate;
    this.#trial = null;
    if (kind === "one more") {
      if (better >= GAIN) return this.#untilMore.reset(now);
      this.#untilMore.lengthen(now);
      this.#use(before);
    } else if (better >= LOSS) {
      this.#untilNone.reset(now);
      this.#untilMore.lengthen(now);
    } else {
      this.#untilNone.lengthen(now);
      this.#use(before);
    }
  }

  /** There is too little traffic for a trial. */
  #abandon(): void {
    if (this.#trial !== null) this.wanted = this.#trial.before;
    this.#trial = null;
    this.#windows.length = 0;
  }

  #use(lanes: number): void {
    this.wanted = lanes;
    this.#windows.length = 0;
  }

  /** Bytes per millisecond. The median is used, because other processes may have used the processor during a window. */
  get #rate(): number {
    const rates = this.#windows.map(({ rate }) => rate).sort((a, b) => a - b);
    return (rates[rates.length - 1 >> 1]! + rates[rates.length >> 1]!) / 2;
  }
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
