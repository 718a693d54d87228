/**
 * The interface of a measurement.
 *
 * @module
 */

import type { Session } from "./session.ts";

/** Family of the outer packets. `"own"` is IPv4, in a session that no other measurement uses. */
export type SessionKind = 4 | 6 | "own";

/** A row of the table. */
export interface Row {
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
}

/** Something to measure. */
export interface Measurement {
  /** Its name for `--only`. */
  readonly name: string;
  readonly rows: readonly Row[];
  /**
   * The session on which it works. One session serves all measurements of a family; `"own"` is a separate one over
   * IPv4.
   * @default {4}
   */
  readonly session?: SessionKind;
  /** Whether `--cores` measures it by default, because more cores can make it faster. */
  readonly scales?: boolean;
  /** The number of slow cores of each daemon (slow_cores.ts); by default they share all processors. */
  readonly cores?: number;
  /**
   * Measures once.
   *
   * @param seconds How long each of its parts takes.
   * @returns A figure for each row, in their order.
   */
  measure(session: Session, seconds: number): Promise<number[]>;
}

/** The same measurement with this many slow cores at each end. */
export function onSlowCores(measurement: Measurement, cores: number): Measurement {
  const suffix = `${cores} slow ${cores === 1 ? "core" : "cores"} a side`;
  return {
    ...measurement,
    name: `${measurement.name}@${cores}`,
    rows: measurement.rows.map((row) => ({ ...row, title: `${row.title}, ${suffix}` })),
    cores,
  };
}
