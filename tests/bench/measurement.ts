/**
 * What a measurement is.
 *
 * @module
 */

import type { Session } from "./session.ts";

/** Family of the packets outside; `"own"`: over IPv4, and nobody else uses it. */
export type SessionKind = 4 | 6 | "own";

/** A row of the table. */
export interface Row {
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
}

/** Something to measure. */
export interface Measurement {
  /** What `--only` calls it. */
  readonly name: string;
  readonly rows: readonly Row[];
  /**
   * Which session it works on: one serves all measurements of a family, `"own"` is a new one over IPv4 for this alone.
   * @default {4}
   */
  readonly session?: SessionKind;
  /** Whether `--cores` measures it if nothing is chosen: what more cores can make faster. */
  readonly scales?: boolean;
  /** How many slow cores each daemon has (slow_cores.ts); by default they share all processors. */
  readonly cores?: number;
  /**
   * Measures once.
   *
   * @param seconds How long each of its parts takes.
   * @returns A figure for each row, in their order.
   */
  measure(session: Session, seconds: number): Promise<number[]>;
}

/** The same measurement with so many slow cores at each end. */
export function onSlowCores(measurement: Measurement, cores: number): Measurement {
  const suffix = `${cores} slow ${cores === 1 ? "core" : "cores"} a side`;
  return {
    ...measurement,
    name: `${measurement.name}@${cores}`,
    rows: measurement.rows.map((row) => ({ ...row, title: `${row.title}, ${suffix}` })),
    cores,
  };
}
