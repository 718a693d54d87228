/**
 * What a benchmark found, as a table.
 *
 * @module
 */

import { REFERENCE } from "./contender.ts";
import type { Row } from "./measurement.ts";
import { median } from "./statistics.ts";

/** A row and what each contender achieved. */
export interface Result extends Row {
  /** A figure a round, null where it could not be measured; no entry if it never could. */
  readonly figures: Record<string, (number | null)[]>;
  /** Why a figure is not there, for the last one that is not. */
  readonly missing: Record<string, string>;
}

/** All of a run. */
export interface Report {
  /** Processors and kernel; no names. */
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  /** Whatever else is to be known of the figures, in one line. */
  readonly note?: string;
  readonly results: readonly Result[];
}

/** A contender's figures of a row, without the rounds that have none. */
export function figuresOf({ figures }: Result, name: string): number[] {
  return (figures[name] ?? []).filter((figure) => figure !== null);
}

/**
 * What a contender's figures are of the reference's: the median of the ratios within each round, since a machine drifts
 * from one to the next.
 *
 * @returns Undefined if no round has both.
 */
export function ratio({ figures }: Result, name: string): number | undefined {
  const others = figures[REFERENCE] ?? [];
  const ratios = (figures[name] ?? []).flatMap((own, round) => {
    const other = others[round];
    return own === null || !other ? [] : [own / other];
  });
  return ratios.length > 0 ? median(ratios) : undefined;
}

/** A markdown table of medians, with their spread, and what wgd's are of the reference's. */
export function formatTable({ machine, versions, rounds, note, results }: Report): string {
  const names = Object.keys(versions);
  const compared = names.includes(REFERENCE) ? names.filter((name) => /^wgd\b/.test(name)) : [];
  const heads = ["", "unit", "better", ...names, ...compared.map((name) => `${name} to ${REFERENCE}`)];
  const lines = results.map((result) => {
    const cells = names.map((name) => cell(figuresOf(result, name)));
    cells.push(...compared.map((name) => against(result, name)));
    return [result.title, result.unit, result.better, ...cells];
  });
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    row(heads),
    row(heads.map((_, i) => i < 3 ? "---" : "--:")),
    ...lines.map(row),
    "",
    `Medians of ${rounds} ${
      rounds === 1 ? "round" : "rounds"
    }, lowest and highest in brackets; the ratio is the ` +
    `median of the rounds' ratios. ${machine}. ` +
    names.map((name) => `${name}: ${versions[name]}`).join("; ") + ".",
    ...(note === undefined ? [] : ["", note]),
    ...reasons(results).map((reason) => `\n– ${reason}`),
    "",
  ].join("\n");
}

/** Why figures are not there, once for all rows that share a reason. */
function reasons(results: readonly Result[]): string[] {
  const rows = new Map<string, string[]>();
  for (const { title, missing } of results) {
    for (const [name, reason] of Object.entries(missing)) {
      const key = `${name}: ${reason}`;
      rows.set(key, [...rows.get(key) ?? [], title]);
    }
  }
  return [...rows].map(([reason, [first, ...more]]) =>
    `${reason} (${first}${more.length > 0 ? ` and ${more.length} more` : ""})`
  );
}

function cell(figures: readonly number[]): string {
  if (figures.length === 0) return "–";
  const [lowest, highest] = [Math.min(...figures), Math.max(...figures)];
  const middle = figure(median(figures));
  return figures.length === 1 ? middle : `${middle} (${figure(lowest)}–${figure(highest)})`;
}

function against(result: Result, name: string): string {
  const value = ratio(result, name);
  return value === undefined ? "–" : `${value.toFixed(2)}×`;
}

/** Three significant digits, no exponent. */
function figure(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en").replaceAll(",", " ");
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
