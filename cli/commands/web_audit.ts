/** `wgd web audit`. @module */

import { DATA } from "../../core/web/folders.ts";
import { openStore } from "../../core/web/init.ts";
import { detailOf, type StoredLine } from "../../core/web/store/events.ts";
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
  for await (const line of store.events.all()) {
    if (verify) last = line.hash;
    // Names can be chosen by strangers, and must not control the terminal.
    else if (json) print(`${count === 0 ? "" : ","}\n${escapeHidden(JSON.stringify(asJson(line)))}`);
    else printBytes(visible(new TextEncoder().encode(`${escapeHidden(asText(line), FORMATTING)}\n`)));
    count++;
  }
  if (json && !verify) print(count === 0 ? "]\n" : "\n]\n");
  const broken = await store.events.findBreak();
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

function asText({ number, time, actor, action, target, address, detail }: StoredLine): string {
  const at = timeOf(time).replace(/\.\d+/, "");
  const words = [number, at, action, actor, target, address && `from ${address}`, detail !== "{}" && detail];
  return words.filter((word) => word !== null && word !== false && word !== "").join("  ").replaceAll(
    "\n",
    "\\n",
  );
}

function asJson({ detail, time, ...line }: StoredLine): object {
  return { ...line, time: timeOf(time), detail: detailOf({ detail }) };
}

/** Characters that are not seen but change what is, such as those that turn the direction of writing. */
const FORMATTING = /[\p{Cf}\p{Zl}\p{Zp}]/gu;
/** These and control characters. JSON has those above U+007E in it as they are. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes characters as JSON does. */
function escapeHidden(text: string, hidden = HIDDEN): string {
  return text.replace(
    hidden,
    (found) =>
      found.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** In ISO 8601. A changed time may be no time. */
function timeOf(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString();
}
