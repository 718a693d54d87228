/** `wgd completions`. @module */

import { CONFIG_FOLDER, nameOfFile, savedFile } from "../../core/config/interface_name.ts";
import { readPeerNames } from "../../core/show/names.ts";
import { getDevice } from "../../core/client/devices.ts";
import { listTunnels } from "../../core/client/listing.ts";
import { formatKey } from "../../core/config/key.ts";
import { complete, type Proposal } from "../completions/complete.ts";
import { completionScripts } from "../completions/scripts.ts";
import { grammars } from "../grammar.ts";
import type { Source } from "../grammar_types.ts";
import { programName } from "../program.ts";
import { complain, print, printAll } from "../render/output.ts";

/** Prints the script for a shell, or, when that script calls it, the possible next words of a command line. */
export async function completions(args: string[]): Promise<number> {
  const [shell = "", ...more] = args;
  if (shell === "--words") {
    printAll(await propose(more));
    return 0;
  }
  const script = new Map(Object.entries(completionScripts)).get(shell);
  if (script === undefined || more.length > 0) {
    complain(`Usage: ${programName()} completions { ${Object.keys(completionScripts).join(" | ")} }`);
    return 1;
  }
  print(script);
  return 0;
}

/** A line with the kind of files that the shell adds, then a line for each proposal: the word, a tab, its summary. */
async function propose(words: readonly string[]): Promise<string[]> {
  const { commandPages, pageTitle } = await import("../manual/pages.ts");
  const commands = Object.fromEntries(
    [...commandPages].map(([name, text]) => [name, pageTitle(text).summary]),
  );
  const grammar = (command: string) => Object.hasOwn(grammars, command) ? grammars[command] : undefined;
  const { proposals, files } = await complete(words, { commands, grammar, find });
  const lines = proposals.filter(({ word, summary }) => !/\p{C}/u.test(word + summary));
  return [`:${files}\n`, ...lines.map(({ word, summary }) => `${word}\t${summary}\n`)];
}

async function find(source: Source, words: readonly string[]): Promise<readonly Proposal[]> {
  switch (source) {
    case "interface":
      return (await listTunnels().catch(() => [])).map((word) => ({ word, summary: "" }));
    case "saved":
      return (await savedInterfaces()).map((word) => ({ word, summary: savedFile(word) }));
    case "page": {
      const { commandPages, pageTitle, topicPages } = await import("../manual/pages.ts");
      const all = [...commandPages, ...topicPages];
      return all.map(([word, text]) => ({ word, summary: pageTitle(text).summary }));
    }
    case "peer":
      return await peers(words);
    default:
      return [];
  }
}

async function savedInterfaces(): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name: file } of Deno.readDir(CONFIG_FOLDER)) {
      const name = nameOfFile(file);
      if (name !== undefined) names.push(name);
    }
  } catch {
    // It does not exist, or we have no permission to read it.
  }
  return names.sort();
}

/** Peers of the first interface among the words: keys, and names where `wgd peer` accepts them. */
async function peers([first = "", second = ""]: readonly string[]): Promise<Proposal[]> {
  const takesNames = first === "show" || first === "remove";
  const name = takesNames ? second : first;
  const names = await readPeerNames(name);
  const running = await getDevice(name).then(({ peers }) => peers, () => []);
  const keys = new Set([...names.keys(), ...running.map(({ publicKey }) => formatKey(publicKey))]);
  return [
    ...(takesNames ? [...names].map(([key, word]) => ({ word, summary: key })) : []),
    ...[...keys].map((word) => ({ word, summary: names.get(word) ?? "" })),
  ];
}
