/**
 * Checks that every program that a test or a script calls is available.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { run } from "../../netns/lab/exec.ts";
import { PACKAGED } from "../../netns/peers/apt.ts";
import { findProgram } from "../../netns/peers/cache.ts";
import { testUnless } from "../../skip.ts";

/** The first word of a command. */
const CALL = /(?:\b(?:run|must|ok|start|enter)|Command)\(\s*\[?\s*"([^"\s]+)"/g;
/** A script for the shell. */
const SCRIPT = /(?:\.sh\(|"-e?c",)\s*(?:`([^`]*)`|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/g;
/** Between commands of a script. */
const BETWEEN = /[\n;|&]|\$\(|\b(?:then|do|else|exec)\b/;
/** Programs that the project explains how to get, or installs. */
const OWN = ["apt-cache", "apt-get", "cargo", "rustc", "rustup"];
/** Programs that only guests in the emulator call. They have busybox. */
const GUESTS = ["rmmod"];

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield await Deno.readTextFile(`${folder}/${name}`);
  }
}

/** Words in the place of programs. */
function* calls(text: string): Generator<string> {
  for (const [, word] of text.matchAll(CALL)) yield word!;
  for (const [, ...scripts] of text.matchAll(SCRIPT)) {
    const script = scripts.find((script) => script !== undefined)!.replace(/\$\{[^}]*\}/g, "X");
    for (const command of script.split(BETWEEN)) {
      const word = /^\s*(?:[A-Za-z_]+=\S*\s+)*([a-z][\w.+-]*)(?=\s|$)/.exec(command)?.[1];
      if (word) yield word;
    }
  }
}

/** Names of files in the packages that every Debian has. */
async function required(): Promise<Set<string>> {
  const { stdout } = await run(["dpkg-query", "-W", "-f", "${Priority} ${Package}\n"]);
  const packages = [...stdout.matchAll(/^required (\S+)$/gm)].map(([, name]) => name!);
  const files = await run(["dpkg-query", "-L", ...packages]);
  return new Set(files.stdout.split("\n").map((path) => path.slice(path.lastIndexOf("/") + 1)));
}

const debian = findProgram("dpkg-query") ? undefined : "not Debian";
testUnless(
  "peers/apt.ts has the package of every program that tests call, unless every Debian has it",
  debian,
  async () => {
    const known = new Set([...await required(), ...PACKAGED, ...OWN, ...GUESTS]);
    const unknown = new Set<string>();
    for (const folder of ["../..", "../../../scripts"]) {
      for await (const text of sources(new URL(folder, import.meta.url).pathname)) {
        // Other words may be in this place. A word counts as a program if this machine has it.
        for (const word of calls(text)) if (!known.has(word) && findProgram(word)) unknown.add(word);
      }
    }
    equal([...unknown].join(", "), "");
  },
);
