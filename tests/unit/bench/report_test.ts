import { equal, ok } from "node:assert/strict";
import { chart } from "../../bench/chart.ts";
import { formatTable, ratio, type Report, type Result } from "../../bench/report.ts";

function result(figures: Result["figures"], missing: Result["missing"] = {}): Result {
  return { title: "TCP", unit: "Gbit/s", better: "more", figures, missing };
}

function report(...results: Result[]): Report {
  return { machine: "2 × Abacus", versions: { wgd: "1", "wireguard-go": "2" }, rounds: 3, results };
}

Deno.test("ratio() is the median of the ratios within rounds, not the ratio of medians", () => {
  // A machine that gets slower. The ratio is always two, regardless of the medians.
  equal(ratio(result({ wgd: [8, 4, null, 2], "wireguard-go": [4, 2, 3, 1] }), "wgd"), 2);
  equal(ratio(result({ wgd: [8, null], "wireguard-go": [null, 2] }), "wgd"), undefined);
  equal(ratio(result({ wgd: [8], "wireguard-go": [0] }), "wgd"), undefined);
});

Deno.test("formatTable() gives the reason for a missing figure below the table", () => {
  const table = formatTable(report(result({ wgd: [1, 2, 3] }, { "wireguard-go": "it refused" })));
  ok(table.includes("| TCP | Gbit/s | more | 2.00 (1.00–3.00) | – | – |"), table);
  ok(table.includes("– wireguard-go: it refused (TCP)"), table);
});

Deno.test("chart() draws rows that have a ratio, and refers to no address except the SVG namespace", () => {
  const svg = chart(report(
    result({ wgd: [2], "wireguard-go": [1] }),
    { ...result({ wgd: [2] }), title: "nothing to compare with" },
  ));
  ok(svg.includes("2.00×") && svg.includes("TCP"));
  ok(!svg.includes("nothing to compare with"));
  for (const [url] of svg.matchAll(/https?:[^"\s]*/g)) ok(url.startsWith("http://www.w3.org/"), url);
});
