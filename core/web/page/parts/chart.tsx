/**
 * Traffic over time, drawn by uPlot, which is loaded when the first chart is shown.
 *
 * @module
 */

import { useEffect, useRef } from "preact/hooks";
import { formatRate, formatTick } from "../text.ts";
import type { Traffic } from "../types.ts";

const HEIGHT = 220;

/** Draws both directions as rates. `label` describes the chart in words. */
export function TrafficChart({ traffic, label }: { traffic: Traffic; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let gone = false;
    let clear = () => {};
    import("uplot").then(({ default: UPlot }) => {
      if (gone) return;
      const plot = new UPlot(options(element, traffic), values(traffic), element);
      const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
      observer.observe(element);
      // Colours are read when the chart is drawn, so it is drawn again when the theme changes.
      const scheme = matchMedia("(prefers-color-scheme: dark)");
      const redraw = () => plot.redraw();
      scheme.addEventListener("change", redraw);
      clear = () => {
        observer.disconnect();
        scheme.removeEventListener("change", redraw);
        plot.destroy();
      };
    });
    return () => {
      gone = true;
      clear();
    };
  }, [traffic]);
  return <div class="chart" ref={box} role="img" aria-label={label} />;
}

function seconds(time: number | string): number {
  return (typeof time === "string" ? Date.parse(time) : time) / 1000;
}

/** Times, and bytes per second that the device received and sent. The server's `tx` is what the device receives. */
function values({ step, points }: Traffic): [number[], number[], number[]] {
  const perSecond = step / 1000;
  return [
    points.map(([time]) => seconds(time)),
    points.map(([, , tx]) => tx / perSecond),
    points.map(([, rx]) => rx / perSecond),
  ];
}

function options(element: HTMLElement, { points }: Traffic): uPlot.Options {
  const colour = (name: string) => () => getComputedStyle(element).getPropertyValue(name).trim();
  const span = seconds(points.at(-1)?.[0] ?? 0) - seconds(points[0]?.[0] ?? 0);
  const axis = {
    stroke: colour("--quiet"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const line = (name: string) => ({ stroke: colour(name), width: 1.5, points: { show: false } });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    axes: [
      { ...axis, values: (_, splits) => splits.map((at) => formatTick(at, span)) },
      { ...axis, size: 80, values: (_, splits) => splits.map((rate) => formatRate(rate)) },
    ],
    series: [{}, { ...line("--down"), fill: colour("--down-area") }, line("--up")],
  };
}
