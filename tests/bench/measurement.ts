/**
 * What a measurement is.
 *
 * @module
 */

import type { Session } from "./session.ts";

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
  readonly session?: 4 | 6 | "own";
  /**
   * Measures once.
   *
   * @param seconds How long each of its parts takes.
   * @returns A figure for each row, in their order.
   */
  measure(session: Session, seconds: number): Promise<number[]>;
}
