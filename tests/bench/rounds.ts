/**
 * Runs the contenders in turns, round by round.
 *
 * @module
 */

import { type Contender, version } from "./contender.ts";
import { machine } from "./machine.ts";
import type { Measurement, Row } from "./measurement.ts";
import type { Report, Result } from "./report.ts";
import { Session } from "./session.ts";
import { mean } from "./statistics.ts";

/** What to measure, and how often. */
export interface Plan {
  readonly contenders: readonly Contender[];
  readonly measurements: readonly Measurement[];
  readonly rounds: number;
  /** How long each part of a measurement takes. */
  readonly seconds: number;
}

/** A measurement that failed this often is not tried again. */
const MAX_FAILURES = 2;
/** Seconds for a measurement whose duration is unknown. */
const ASSUMED_SECONDS = 8;

/** Measures everything. `say` is called for each step. */
export async function measureAll(plan: Plan, say: (text: string) => void): Promise<Report> {
  const run = new Run(plan, say);
  for (let round = 1; round <= plan.rounds; round++) {
    for (const contender of plan.contenders) await run.turn(contender, round);
  }
  return await run.report();
}

class Run {
  readonly #results: Map<Row, Result>;
  /** How long each measurement of each contender took, in seconds, for the time that is left. */
  readonly #taken = new Map<string, number[]>();
  readonly #failures = new Map<string, number>();
  #round = 0;

  constructor(readonly plan: Plan, readonly say: (text: string) => void) {
    this.#results = new Map(
      plan.measurements.flatMap(({ rows }) => rows).map((row) => [row, { ...row, figures: {}, missing: {} }]),
    );
  }

  /** One contender's measurements of one round. */
  async turn(contender: Contender, round: number): Promise<void> {
    this.#round = round;
    for (const [key, measurements] of Map.groupBy(this.plan.measurements, sessionKey)) {
      await this.#measure(contender, key.startsWith("6") ? 6 : 4, measurements);
    }
  }

  async #measure(contender: Contender, family: 4 | 6, all: readonly Measurement[]): Promise<void> {
    const measurements = all.filter(({ name }) => !this.#hopeless(contender, name));
    if (measurements.length === 0) return;
    let session: Session;
    try {
      session = await Session.start(contender, family, measurements[0]!.cores);
    } catch (error) {
      for (const measurement of measurements) this.#failed(contender, measurement, error);
      return;
    }
    await using _ = session;
    for (const measurement of measurements) {
      const start = performance.now();
      try {
        const figures = await measurement.measure(session, this.plan.seconds);
        for (const [i, row] of measurement.rows.entries()) this.#found(contender, row, figures[i]!);
      } catch (error) {
        this.#failed(contender, measurement, error);
      }
      const key = `${measurement.name} ${contender.name}`;
      this.#taken.set(key, [...this.#taken.get(key) ?? [], (performance.now() - start) / 1e3]);
    }
  }

  #found(contender: Contender, row: Row, figure: number): void {
    const { figures } = this.#results.get(row)!;
    // By round, so that ratios are between figures of the same round.
    (figures[contender.name] ??= new Array(this.plan.rounds).fill(null))[this.#round - 1] = figure;
    this.#tell(contender, `${row.title}: ${figure.toPrecision(3)} ${row.unit}`);
  }

  #failed(contender: Contender, { name, rows }: Measurement, error: unknown): void {
    const key = `${name} ${contender.name}`;
    this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
    const reason = (error as Error).message.split("\n")[0]!;
    for (const row of rows) this.#results.get(row)!.missing[contender.name] = reason;
    this.#tell(contender, `${name} failed: ${reason}`);
  }

  #hopeless(contender: Contender, name: string): boolean {
    return (this.#failures.get(`${name} ${contender.name}`) ?? 0) >= MAX_FAILURES;
  }

  #tell(contender: Contender, text: string): void {
    const { rounds } = this.plan;
    this.say(`round ${this.#round} of ${rounds}, ${contender.name}: ${text} (${minutes(this.#left())} left)`);
  }

  /** Estimates the remaining seconds from the time of earlier measurements. */
  #left(): number {
    const known = [...this.#taken.values()].flat();
    let left = 0;
    for (const { name } of this.plan.measurements) {
      const ofAny = this.plan.contenders.flatMap((contender) =>
        this.#taken.get(`${name} ${contender.name}`) ?? []
      );
      for (const contender of this.plan.contenders) {
        const taken = this.#taken.get(`${name} ${contender.name}`) ?? [];
        const sample = [taken, ofAny, known].find(({ length }) => length > 0);
        const turns = this.#hopeless(contender, name) ? 0 : this.plan.rounds - taken.length;
        left += turns * (sample ? mean(sample) : ASSUMED_SECONDS);
      }
    }
    return left;
  }

  async report(): Promise<Report> {
    const { contenders, rounds } = this.plan;
    const versions = await Promise.all(
      contenders.map(async (contender) => [contender.name, await version(contender)]),
    );
    return {
      machine: await machine(),
      versions: Object.fromEntries(versions),
      rounds,
      results: [...this.#results.values()],
    };
  }
}

/** Measurements with the same key use one session, in their order. */
function sessionKey({ name, session = 4, cores }: Measurement): string {
  return session === "own" ? `4 ${name}` : `${session} ${cores ?? ""}`;
}

function minutes(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
