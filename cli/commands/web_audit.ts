/** `wgd web audit`. @module */

import { firstBroken, isJson, type LoggedLine, readLog } from "../../core/web/audit_log.ts";
import { DATA } from "../../core/web/folders.ts";
import { openStore } from "../../core/web/init.ts";
import { shortName } from "../program.ts";
import { complain, print, printBytes, visible } from "../render/output.ts";

/** The options of the command line. */
export interface AuditValues {
  readonly data?: string | undefined;
  readonly database?: string | undefined;
  readonly json?: boolean | undefined;
  readonly verify?: boolean | undefined;
}

/** Prints the audit log, and checks its chain of hashes. */
export async function printAudit(
  { data = DATA, database, json = false, verify = false }: AuditValues,
): Promise<number> {
  await using store = await openStore(data, database);
  let count = 0;
  let last = "";
  if (json && !verify) print("[");
  for await (const line of readLog(store)) {
    if (verify) last = line.hash;
    else if (json) print(`${count === 0 ? "" : ","}\n${JSON.stringify(asJson(line))}`);
    // Names can be chosen by strangers, and must not control the terminal.
    else printBytes(visible(new TextEncoder().encode(`${asText(line)}\n`)));
    count++;
  }
  if (json && !verify) print(count === 0 ? "]\n" : "\n]\n");
  const broken = await firstBroken(store);
  if (verify) printResult({ entries: count, firstBroken: broken ?? null, lastHash: last }, json);
  if (broken === undefined) return 0;
  complain(
    `${shortName()}: the audit log is broken at entry ${broken}: it was changed, removed or inserted outside of wgd`,
  );
  return 1;
}

function printResult(
  result: { readonly entries: number; readonly firstBroken: number | null; readonly lastHash: string },
  json: boolean,
): void {
  if (json) print(`${JSON.stringify(result)}\n`);
  else if (result.firstBroken === null) {
    print(`${result.entries} entries, all as written; last hash: ${result.lastHash || "none"}\n`);
  }
}

function asText({ number, time, actor, action, target, address, detail }: LoggedLine): string {
  const at = timeOf(time).replace(/\.\d+/, "");
  const words = [number, at, action, actor, target, address && `from ${address}`, detail !== "{}" && detail];
  return words.filter((word) => word !== null && word !== false && word !== "").join("  ").replaceAll(
    "\n",
    "\\n",
  );
}

function asJson({ detail, time, ...line }: LoggedLine): object {
  return { ...line, time: timeOf(time), detail: isJson(detail) ? JSON.parse(detail) : detail };
}

/** In ISO 8601. A changed time may be no time. */
function timeOf(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString();
}
