/** `wgd help`. @module */

import { nearest } from "../../core/config/nearest.ts";
import { programName, tool } from "../program.ts";
import { complain, print } from "../render/output.ts";
import { commands } from "../table.ts";

/** The longest line; longer ones are hard to read even if the terminal is wider. */
const MAX_WIDTH = 100;
/** The width if the output does not go to a terminal. */
const PIPED = 80;

/** Prints the list of commands and topics, or the page of one of them. */
export async function help(args: readonly string[]): Promise<number> {
  const [name, ...more] = args;
  const { pageNames, terminalPage, topics } = await import("../manual/manual.ts");
  if (name === undefined) {
    print(overview(topics()));
    return 0;
  }
  const styled = Deno.stdout.isTerminal();
  const width = styled ? Math.min(MAX_WIDTH, Deno.consoleSize().columns) : PIPED;
  const page = more.length === 0 ? terminalPage(name, { width, styled }) : undefined;
  if (page === undefined) {
    complain(
      more.length === 0 ? `Invalid subcommand: \`${name}'` : `Usage: ${programName()} help [<command>]`,
    );
    const near = nearest(name, pageNames());
    if (near) complain(`hint: did you mean "wgd help ${near}"?`);
    else if (more.length === 0) complain('hint: "wgd help" lists all commands and topics');
    return 1;
  }
  print(page);
  return 0;
}

/** The usage text; that of `wg` if it was called by that name. */
export function overview(topics: Iterable<{ name: string; summary: string }> = []): string {
  const isWg = tool() === "wg";
  let text = `Usage: ${programName()} <cmd> [<args>]\n\nAvailable subcommands:\n`;
  for (const [name, { summary, wg }] of commands) {
    if (wg || !isWg) text += `  ${name}: ${summary}\n`;
  }
  if (isWg) return `${text}You may pass \`--help' to any of these subcommands to view usage.\n`;
  text += "\nTopics:\n";
  for (const { name, summary } of topics) text += `  ${name}: ${summary}\n`;
  return text + `\n"${programName()} help <command or topic>" explains one of them.\n` +
    `"${programName()} wg0" is short for "${programName()} run wg0".\n` +
    "If wgd is called through a link named wg or wg-quick, it acts as that tool.\n";
}
