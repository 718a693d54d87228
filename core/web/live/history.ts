/**
 * A device's traffic over a span of time, from an hour to a year.
 *
 * @module
 */

import { lengthOf, type Step, type Traffic } from "../store/traffic.ts";

/** Each span: the rows from which it is read, how many rows make a point, and how many points it has. */
const SPANS = {
  hour: { rows: "minute", each: 1, points: 60 },
  day: { rows: "minute", each: 5, points: 288 },
  month: { rows: "hour", each: 1, points: 720 },
  year: { rows: "day", each: 1, points: 365 },
} as const satisfies Record<string, { rows: Step; each: number; points: number }>;

/** A span of time. */
export type Span = keyof typeof SPANS;

/** All spans. */
export const SPAN_NAMES = Object.keys(SPANS) as Span[];

/** Bytes that the server received and sent in the step that begins at a time (milliseconds since 1970). */
export type Point = readonly [time: number, rx: number, tx: number];

/** Traffic over a span. */
export interface History {
  /** Milliseconds from one point to the next. */
  readonly step: number;
  /** The oldest first, without gaps. The last one is incomplete. */
  readonly points: readonly Point[];
}

/** Reads the traffic of a device. */
export async function readHistory(
  traffic: Traffic,
  deviceId: string,
  span: Span,
  now: number,
): Promise<History> {
  const { rows, each, points } = SPANS[span];
  const step = lengthOf(rows) * each;
  const first = Math.floor(now / step) * step - (points - 1) * step;
  const history: [time: number, rx: number, tx: number][] = Array.from(
    { length: points },
    (_, index) => [first + index * step, 0, 0],
  );
  for (const { time, rx, tx } of await traffic.rows(deviceId, rows, first)) {
    const point = history[Math.floor((time - first) / step)];
    if (!point) continue;
    point[1] += rx;
    point[2] += tx;
  }
  return { step, points: history };
}
