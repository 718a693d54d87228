/**
 * Decides how many lanes there are, and how many of them are used.
 *
 * If the user has set a number, all are used while there is much traffic. Otherwise the engine tries: while its thread
 * is busy and processors are idle, it uses two more lanes for each idle processor, and keeps them if this increases the
 * throughput. If no processor is idle and the throughput is lower than when lanes were last found to help, it tries to use
 * no lanes, and keeps that if the throughput stays the same, because on a fully used machine lanes only take time from each
 * other. It does so as well if its thread has little work. The time until a failed trial is repeated grows.
 *
 * Lanes end after some time with little traffic or without use.
 *
 * @module
 */

/** Milliseconds over which traffic and time are added up. */
const WINDOW = 50;
/** A longer window contains a pause. */
const LONGEST_WINDOW = 200;
/** The number of windows that are evaluated together; fewer are needed before the first lane. */
const LOOK = 4;
const FIRST_LOOK = 2;
/**
 * The minimum load of the engine's thread (`Machine.busy`) for more lanes. It is low, because the other end of a tunnel
 * needs lanes at the same time, and because under a quota the thread that limits the throughput sleeps at times. With
 * less load for so many milliseconds, using no lanes is tried.
 */
const BUSY = 0.4;
const EASY_FOR = 10_000;
/** Bytes in a window that count as much traffic. */
const MUCH = 1 << 17;
/** The minimum number of idle processors for more lanes. With fewer, they would take time from other threads. */
const IDLE = 0.5;
/** Lanes that are tried at once for each idle processor, because few of them always have work. */
const LANES_PER_PROCESSOR = 2;
/** With fewer idle processors than this, using no lanes is tried. */
const FULL = 0.1;
/** The throughput with more lanes must grow by this factor. */
const GAIN = 1.08;
/**
 * The maximum number of windows of a trial of more lanes, and of one in which the throughput shrinks by more than
 * `BAD_LOSS`. Lanes are slow, and delay the others' packets, until V8 has compiled their code.
 */
const LONGEST_TRIAL = 20;
const LONGEST_BAD_TRIAL = 12;
/** The throughput without lanes may shrink by this factor. If it shrinks by more than the second, the trial ends early. */
const LOSS = 0.95;
const BAD_LOSS = 0.7;
/** Milliseconds until a failed trial is repeated: at first, and at most. */
const MORE_PAUSES = { first: 3_000, last: 300_000 };
const NONE_PAUSES = { first: 1_000, last: 30_000 };
/** Milliseconds without use after which lanes end. */
const LINGER = 10_000;

/** The trial in progress. */
interface Trial {
  readonly kind: "more" | "none";
  /** The number of lanes that were used before. */
  readonly before: number;
  /** The throughput before, in bytes per millisecond. */
  readonly rate: number;
}

/** What a policy knows of the machine. */
export interface Machine {
  /** The number of processors that were idle since the last call. */
  idleProcessors(): number;
  /** The fraction of the time since the last call in which the engine's thread ran or waited for a processor; NaN if unknown. */
  busy(): number;
}

interface Window {
  /** Bytes per millisecond. */
  readonly rate: number;
  readonly busy: number;
  readonly idle: number;
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
  /** Whether the last window had much traffic. */
  #steady = false;
  /** The last consecutive windows with much traffic. */
  readonly #windows: Window[] = [];
  /** The throughput at which lanes were last found to help. */
  #helpedAt = 0;
  #trial: Trial | null = null;
  /** Windows since the trial began. */
  #tried = 0;
  readonly #untilMore = new Pause(MORE_PAUSES);
  readonly #untilNone = new Pause(NONE_PAUSES);
  #lastUse = -Infinity;
  /** When the load of the engine's thread was last more than little. */
  #lastBusy = -Infinity;

  /**
   * @param limit The maximum number of lanes.
   * @param considerate Whether to find the best number by trials. If not, all lanes are used.
   */
  constructor(readonly limit: number, readonly considerate: boolean, readonly machine: Machine) {}

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
    const { machine, considerate } = this;
    const much = passed < LONGEST_WINDOW && this.#bytes >= MUCH * passed / WINDOW;
    if (!much) {
      this.#steady = false;
      this.#abandon();
      // The last readings may be old.
      if (considerate && this.#bytes > 0) {
        machine.idleProcessors();
        machine.busy();
      }
      return;
    }
    if (this.wanted > 0) this.#lastUse = now;
    if (!considerate) {
      // One window may contain no more than a handshake.
      if (this.#steady) this.wanted = this.limit;
      this.#steady = true;
      return;
    }
    const idle = machine.idleProcessors(), known = machine.busy();
    // A lane that was started needs some time.
    if (lanes < this.wanted) return;
    const busy = Number.isNaN(known) ? this.#worked / passed : known;
    // The first window after a change says nothing.
    if (this.#trial === null || ++this.#tried > 1) {
      this.#windows.push({ rate: this.#bytes / passed, busy, idle });
    }
    if (this.#windows.length > LOOK) this.#windows.shift();
    if (this.#windows.length < (this.wanted === 0 ? FIRST_LOOK : LOOK)) return;
    if (this.#trial === null) this.#consider(now);
    else this.#judge(this.#trial, now);
  }

  /** Whether to begin a trial. */
  #consider(now: number): void {
    const { wanted, limit } = this;
    const windows = wanted === 0 ? this.#windows.slice(-FIRST_LOOK) : this.#windows;
    const idle = mean(this.#windows.map(({ idle }) => idle));
    const busy = mean(windows.map(({ busy }) => busy));
    if (wanted === 0 || busy >= BUSY) this.#lastBusy = now;
    const easy = now - this.#lastBusy >= EASY_FOR;
    const full = idle < FULL && this.#rate < this.#helpedAt;
    if (wanted < limit && busy >= BUSY && idle >= IDLE && now >= this.#untilMore.until) {
      this.#try("more", Math.min(limit, wanted + Math.ceil(LANES_PER_PROCESSOR * idle)));
    } else if (wanted > 0 && (full || easy) && now >= this.#untilNone.until) {
      this.#try("none", 0);
    }
  }

  #try(kind: Trial["kind"], wanted: number): void {
    this.#trial = { kind, before: this.wanted, rate: this.#rate };
    this.#tried = 0;
    this.#use(wanted);
  }

  #judge({ kind, before, rate }: Trial, now: number): void {
    const better = this.#rate / rate;
    if (kind === "more") {
      if (better < GAIN && this.#tried < (better < BAD_LOSS ? LONGEST_BAD_TRIAL : LONGEST_TRIAL)) return;
      this.#trial = null;
      if (better >= GAIN) {
        this.#helpedAt = this.#rate;
        return this.#untilMore.reset(now);
      }
      this.#untilMore.lengthen(now);
      this.#use(before);
      return;
    }
    if (better >= BAD_LOSS && this.#windows.length < LOOK) return;
    this.#trial = null;
    if (better >= LOSS) {
      this.#untilNone.reset(now);
      this.#untilMore.lengthen(now);
    } else {
      this.#helpedAt = rate;
      this.#untilNone.lengthen(now);
      this.#lastBusy = now;
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
