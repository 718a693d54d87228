/**
 * How many lanes there are, and how many of them are used.
 *
 * If the user has set their number, all are used while there is much traffic. Otherwise the engine finds out by trying:
 * while it is busy and processors have nothing to do, it takes one lane more, and keeps it if more bytes pass then. When
 * no processor has anything left, it tries to do without lanes, and stays so if as many bytes pass: on a machine that
 * others use as well, lanes only take time from each other. What was tried in vain is tried again later and later.
 *
 * Lanes end when there was little traffic for a while, or when they were not used for a while.
 *
 * @module
 */

/** Milliseconds over which traffic and time are added up. */
const WINDOW = 50;
/** Windows that are looked at together. Those before a change say nothing about it, nor does the first one after it. */
const LOOK = 4;
/** The part of the time in which a busy engine is at work. */
const BUSY = 0.5;
/** Bytes in a window that are much. */
const MUCH = 1 << 17;
/** Processors without work that a lane needs, at least. With less, it would take its time from others. */
const IDLE = 0.3;
/** Fewer than this, and there may be none. */
const FULL = 0.1;
/** What a lane more has to make of the bytes that pass. */
const GAIN = 1.08;
/** What doing without lanes may make of them. */
const LOSS = 0.95;
/** Milliseconds until what was tried in vain is tried again: at first, and at most. */
const MORE_PAUSES = { first: 5_000, last: 300_000 };
const NONE_PAUSES = { first: 1_000, last: 30_000 };
/** Milliseconds without use after which lanes end. */
const LINGER = 10_000;

/** What is being tried. */
interface Trial {
  readonly kind: "one more" | "none";
  /** Lanes that were used before. */
  readonly before: number;
  /** Bytes a millisecond that passed then. */
  readonly rate: number;
}

/** When to try something again. */
class Pause {
  until = -Infinity;
  #length: number;

  constructor(readonly lengths: { readonly first: number; readonly last: number }) {
    this.#length = lengths.first;
  }

  /** It was in vain. */
  lengthen(now: number): void {
    this.until = now + this.#length;
    this.#length = Math.min(2 * this.#length, this.lengths.last);
  }

  /** It was not. */
  reset(now: number): void {
    this.until = now;
    this.#length = this.lengths.first;
  }
}

/** Adds up what the engine does. */
export class LanePolicy {
  /** Lanes that are to be used. If there are fewer, they are to be started. */
  wanted = 0;
  #since = -Infinity;
  #bytes = 0;
  #worked = 0;
  /** Of the last windows with much traffic in a row: bytes a millisecond, whether the engine was busy, idle processors. */
  readonly #windows: { rate: number; busy: boolean; idle: number }[] = [];
  #trial: Trial | null = null;
  readonly #untilMore = new Pause(MORE_PAUSES);
  readonly #untilNone = new Pause(NONE_PAUSES);
  #lastUse = -Infinity;

  /**
   * @param limit Most lanes.
   * @param considerate Whether it is to find out how many are good. If not, all of them are.
   * @param idleProcessors How many had nothing to do since it was last called.
   */
  constructor(
    readonly limit: number,
    readonly considerate: boolean,
    readonly idleProcessors: () => number,
  ) {}

  /** When lanes that have nothing to do are to be looked at again. */
  get nextLook(): number {
    return this.#lastUse + LINGER;
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
      // What was read last may be of long ago.
      if (this.considerate && this.#bytes > 0) this.idleProcessors();
      return;
    }
    if (this.wanted > 0) this.#lastUse = now;
    if (!this.considerate) {
      this.wanted = this.limit;
      return;
    }
    const idle = this.idleProcessors();
    // A lane that was started takes a while.
    if (lanes < this.wanted) return;
    this.#windows.push({ rate: this.#bytes / passed, busy: this.#worked >= BUSY * passed, idle });
    const changed = this.#trial === null ? 0 : 1;
    if (this.#windows.length < LOOK + changed) return;
    if (this.#trial === null) this.#consider(now);
    else this.#judge(this.#trial, now);
    if (this.#windows.length > LOOK) this.#windows.shift();
  }

  /** Whether something is to be tried. */
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

  /** There is too little traffic to find anything out. */
  #abandon(): void {
    if (this.#trial !== null) this.wanted = this.#trial.before;
    this.#trial = null;
    this.#windows.length = 0;
  }

  #use(lanes: number): void {
    this.wanted = lanes;
    this.#windows.length = 0;
  }

  /** Bytes a millisecond. The median: a window in which somebody else had the processor says nothing. */
  get #rate(): number {
    const rates = this.#windows.map(({ rate }) => rate).sort((a, b) => a - b);
    return (rates[rates.length - 1 >> 1]! + rates[rates.length >> 1]!) / 2;
  }
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
