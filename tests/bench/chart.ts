/**
 * Draws the results of a benchmark as a chart.
 *
 * @module
 */

import * as echarts from "echarts";
import { REFERENCE } from "./contender.ts";
import { ratio, type Report, type Result } from "./report.ts";

/** A medium grey, which is readable on white and on black, as are the colours of the bars. */
const INK = "#808080";
const COLOURS = ["#2f7ed8", "#e08214", "#8e63ce", "#1b9e77", "#d6487e"];
const WIDTH = 900;
/** The longest bar. If a ratio is beyond it, only the label shows the ratio. */
const MAX_RATIO = 8;
/** Pixels per row, and of the margin. */
const ROW = 17;
const GAP = 12;
const MARGIN = { top: 70, right: 60, bottom: 20, left: 420 };

/**
 * Draws the ratio of each contender to the reference, for every row that has one. Rows in which less is better are
 * inverted, so that a longer bar is always better. The scale is logarithmic: twice and half are equally far from 1.
 *
 * @returns SVG with a transparent background.
 */
export function chart(report: Report): string {
  const names = Object.keys(report.versions).filter((name) => name !== REFERENCE);
  const results = report.results.filter((result) => names.some((name) => ratio(result, name)));
  const height = MARGIN.top + MARGIN.bottom + results.length * (names.length * ROW + GAP);
  const plot = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  try {
    plot.setOption(options(results, names));
    return plot.renderToSVGString() + "\n";
  } finally {
    plot.dispose();
  }
}

function options(results: readonly Result[], names: readonly string[]): echarts.EChartsCoreOption {
  const text = { color: INK };
  return {
    animation: false,
    color: COLOURS,
    title: {
      text: `Times as good as ${REFERENCE}: to the right is better`,
      textStyle: { ...text, fontSize: 15 },
      left: 10,
      top: 8,
    },
    legend: { data: names, top: 34, left: 10, textStyle: text },
    grid: MARGIN,
    xAxis: {
      type: "log",
      logBase: 2,
      min: 1 / MAX_RATIO,
      max: MAX_RATIO,
      position: "top",
      axisLabel: { ...text, formatter: (value: number) => `${value >= 1 ? value : `1/${1 / value}`}×` },
      splitLine: { lineStyle: { color: INK, opacity: 0.3 } },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: results.map(({ title }) => title.replaceAll("`", "")),
      axisLabel: text,
      axisTick: { show: false },
      axisLine: { show: false },
    },
    series: names.map((name) => ({
      type: "bar",
      name,
      label: {
        ...text,
        show: true,
        position: "right",
        formatter: ({ data }: { data: Bar }) => `${data.ratio.toFixed(2)}×`,
      },
      data: results.map((result) => bar(result, name)),
    })),
  };
}

interface Bar {
  readonly ratio: number;
  /** The ratio, limited to the bounds. */
  readonly value: number;
}

function bar(result: Result, name: string): Bar | null {
  const value = ratio(result, name);
  if (!value) return null;
  const good = result.better === "more" ? value : 1 / value;
  return { ratio: good, value: Math.min(MAX_RATIO, Math.max(1 / MAX_RATIO, good)) };
}
