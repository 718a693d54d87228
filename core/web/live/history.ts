/**
 * A device's traffic over a span of time, from an hour to a year.
 *
 * @module
 */

import { type Gap, lengthOf, type Step, type Traffic } from "../store/traffic.ts";

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

/**
 * Reads the traffic of a device. What was counted while nothing was recorded is spread evenly over that time, because in
 * one point it would be a peak that never was.
 */
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
  for (const gap of await traffic.gaps(deviceId, first)) spread(gap, history, step);
  return { step, points: history };
}

function spread(
  { began, ended, rx, tx }: Gap,
  history: readonly [time: number, rx: number, tx: number][],
  step: number,
): void {
  // Differences of rounded sums, so that the points add up to the gap.
  const until = (time: number, bytes: number) =>
    Math.round(bytes * (Math.min(Math.max(time, began), ended) - began) / (ended - began));
  for (const point of history) {
    const end = point[0] + step;
    if (end <= began || point[0] >= ended) continue;
    point[1] += until(end, rx) - until(point[0], rx);
    point[2] += until(end, tx) - until(point[0], tx);
  }
}
