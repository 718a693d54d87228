/**
 * A line of recent rates, the newest at the right.
 *
 * @module
 */

import { SAMPLES } from "../live.ts";

const [WIDTH, HEIGHT] = [80, 20];

/** Draws rates. The number beside it has the same information, so screen readers skip it. */
export function Sparkline({ rates }: { rates: readonly number[] }) {
  const highest = Math.max(...rates, 1);
  const step = WIDTH / (SAMPLES - 1);
  const first = SAMPLES - rates.length;
  const points = rates.map((rate, index) =>
    `${((first + index) * step).toFixed(1)},${(HEIGHT - 1 - rate / highest * (HEIGHT - 2)).toFixed(1)}`
  );
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      aria-hidden="true"
    >
      {points.length > 1 && <polyline points={points.join(" ")} />}
    </svg>
  );
}
