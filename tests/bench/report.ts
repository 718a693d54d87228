/**
 * What a benchmark found, as a table.
 *
 * @module
 */

import type { Row } from "./measurements.ts";
import { REFERENCE } from "./contender.ts";
import { median } from "./statistics.ts";

/** A row and what each contender achieved, one figure a round; missing where it could not be measured. */
export interface Result extends Row {
  readonly figures: Readonly<Record<string, readonly number[]>>;
}

/** All of a run. */
export interface Report {
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly results: readonly Result[];
}

/** A markdown table of medians, with their spread, and what wgd's are of the reference's. */
export function formatTable({ machine, versions, rounds, results }: Report): string {
  const names = Object.keys(versions);
  const ratio = names.includes(REFERENCE) && names.includes("wgd");
  const heads = ["", "unit", ...names, ...(ratio ? [`wgd to ${REFERENCE}`] : [])];
  const lines = results.map((result) => {
    const cells = names.map((name) => cell(result.figures[name] ?? []));
    if (ratio) cells.push(against(result));
    return [result.title, result.unit, ...cells];
  });
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    row(heads),
    row(heads.map((_, i) => i < 2 ? "---" : "--:")),
    ...lines.map(row),
    "",
    `Medians of ${rounds} ${
      rounds === 1 ? "round" : "rounds"
    }, lowest and highest in brackets. ${machine}. ` +
    names.map((name) => `${name}: ${versions[name]}`).join("; ") + ".",
    "",
  ].join("\n");
}

function cell(figures: readonly number[]): string {
  if (figures.length === 0) return "–";
  const [lowest, highest] = [Math.min(...figures), Math.max(...figures)];
  const middle = figure(median(figures));
  return figures.length === 1 ? middle : `${middle} (${figure(lowest)}–${figure(highest)})`;
}

function against({ figures }: Result): string {
  const own = figures["wgd"] ?? [], other = figures[REFERENCE] ?? [];
  return own.length > 0 && other.length > 0 ? `${(median(own) / median(other)).toFixed(2)}×` : "–";
}

/** Three significant digits, no exponent. */
function figure(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en").replaceAll(",", " ");
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
