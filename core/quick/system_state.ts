/**
 * Reads the system's state of everything that an interface's steps set.
 *
 * @module
 */

import { networkState } from "../client/kernel_network.ts";
import { readResolvConf } from "./resolv_conf.ts";
import { readProgram, succeeds } from "./run_program.ts";
import type { SystemState } from "./plan/differences.ts";
import { dnsQuestion } from "./plan/dns_state.ts";
import { nftTable } from "./plan/firewall_state.ts";
import { ipWords, type Step } from "./plan/step.ts";

/** The files in which iproute2 keeps the names of routing tables. */
const TABLE_FILES = [
  "/usr/lib/iproute2/rt_tables",
  "/usr/share/iproute2/rt_tables",
  "/etc/iproute2/rt_tables",
];
const TABLE_FOLDER = "/etc/iproute2/rt_tables.d";

/**
 * Reads it.
 *
 * @param index The kernel's number of the interface.
 * @param steps The steps of its `up`.
 */
export async function readSystem(index: number, steps: readonly Step[]): Promise<SystemState> {
  const [nft, iptables, dns, tables, sysctls] = await Promise.all([
    nftTables(steps),
    savedRules(steps),
    dnsSettings(steps),
    tableNumbers(steps),
    readSysctls(steps),
  ]);
  return {
    ...networkState(index),
    nft,
    iptables,
    dns,
    tables,
    sysctls,
    ...(steps.some(({ kind }) => kind === "resolv-conf") && { resolvConf: await readResolvConf() }),
  };
}

/** Reads tables of nft. A table whose state is unknown is left out. */
async function nftTables(steps: readonly Step[]): Promise<Map<string, string | null>> {
  const tables = new Map<string, string | null>();
  for (const step of steps) {
    const table = nftTable(step);
    if (table === undefined) continue;
    const text = await readProgram(["nft", "list", "table", ...table.split(" ")]);
    if (text !== "") tables.set(table, text);
    else if (await succeeds(["nft", "list", "tables"])) tables.set(table, null);
  }
  return tables;
}

async function savedRules(steps: readonly Step[]): Promise<Map<string, string>> {
  const programs = new Set(
    steps.flatMap((step) => {
      const [, program] = step.kind === "command"
        ? /^(ip6?tables)-restore$/.exec(step.command[0]!) ?? []
        : [];
      return program ?? [];
    }),
  );
  const saved = new Map<string, string>();
  for (const program of programs) {
    const text = await readProgram([`${program}-save`]);
    // An existing table prints some text. No text may mean that the program failed.
    if (text !== "" || await succeeds([`${program}-save`])) saved.set(program, text);
  }
  return saved;
}

/** Queries the DNS servers of the interface from the program that manages them. */
async function dnsSettings(steps: readonly Step[]): Promise<Map<string, readonly string[]>> {
  const answers = new Map<string, readonly string[]>();
  for (const step of steps) {
    const question = dnsQuestion(step);
    if (question === undefined || step.kind !== "command") continue;
    const [program, what, label] = step.command;
    const command = program === "resolvectl" ? [program, what!, label!] : [program!, "-l", label!];
    // Debian's older resolvconf cannot list them.
    if (!await succeeds(command)) continue;
    answers.set(question, (await readProgram(command)).split(/\s+/));
  }
  return answers;
}

async function tableNumbers(steps: readonly Step[]): Promise<Map<string, number>> {
  const numbers = new Map<string, number>();
  const isNamed = steps.some((step) => {
    const words = ipWords(step);
    const at = words.indexOf("table");
    return words[2] === "route" && at >= 0 && /\D/.test(words[at + 1] ?? "");
  });
  if (!isNamed) return numbers;
  const files = [...TABLE_FILES];
  const entries = await Array.fromAsync(Deno.readDir(TABLE_FOLDER)).catch(() => []);
  files.push(
    ...entries.filter(({ name }) => name.endsWith(".conf")).map(({ name }) => `${TABLE_FOLDER}/${name}`),
  );
  for (const file of files) {
    const text = await Deno.readTextFile(file).catch(() => "");
    for (const [, number, name] of text.matchAll(/^\s*(\d+|0x[0-9a-f]+)\s+(\S+)/gim)) {
      numbers.set(name!, Number(number));
    }
  }
  return numbers;
}

async function readSysctls(steps: readonly Step[]): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (const step of steps) {
    if (step.kind !== "command" || step.command[0] !== "sysctl") continue;
    const [name] = step.command.at(-1)!.split("=");
    const value = await Deno.readTextFile(`/proc/sys/${name!.replaceAll(".", "/")}`).catch(() => undefined);
    if (value !== undefined) values.set(name!, value.trim());
  }
  return values;
}
