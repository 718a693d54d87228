/**
 * What can follow on a command line that is being typed.
 *
 * @module
 */

import type { Grammar, Place, Source, Words } from "../grammar.ts";

/** A word that could stand there. */
export interface Proposal {
  readonly word: string;
  /** What it means, in a few words; may be empty. */
  readonly summary: string;
}

/** What a shell knows better than we do. */
export type Files = "none" | "config" | "file" | "folder";

/** All that could stand there. */
export interface Completion {
  readonly proposals: readonly Proposal[];
  /** Which files the shell adds. */
  readonly files: Files;
}

/** What there is on this machine. Whatever cannot be found out is an empty list. */
export interface Knowledge {
  /** All commands with what they do. */
  readonly commands: Words;
  /** The grammar of a command. */
  readonly grammar: (command: string) => Grammar | undefined;
  /** Words from a source that is not files; `words` are those before, behind the command's name. */
  readonly find: (source: Source, words: readonly string[]) => Promise<readonly Proposal[]>;
}

const NOTHING: Completion = { proposals: [], files: "none" };
const HELP: Words = { "--help": "tells how it is used" };

/**
 * Proposes words. They are not filtered by what is typed already: each shell has its own way to match.
 *
 * @param typed The words behind the program's name; the last one is being typed, and may be empty.
 */
export async function complete(typed: readonly string[], knowledge: Knowledge): Promise<Completion> {
  const before = typed.slice(0, -1);
  const current = typed.at(-1) ?? "";
  const [command, ...rest] = before;
  if (command === undefined) {
    const options = current.startsWith("-") ? { ...HELP, "--version": "tells the version" } : {};
    return { proposals: proposals({ ...knowledge.commands, ...options }), files: "none" };
  }
  const grammar = knowledge.grammar(command);
  return grammar ? await follow(grammar, rest, current, rest, knowledge) : NOTHING;
}

async function follow(
  grammar: Grammar,
  words: readonly string[],
  current: string,
  all: readonly string[],
  knowledge: Knowledge,
): Promise<Completion> {
  if (grammar.actions) {
    const [action, ...rest] = words;
    if (action !== undefined) {
      const chosen = Object.hasOwn(grammar.actions, action) ? grammar.actions[action]! : undefined;
      return chosen ? await follow(chosen, rest, current, all, knowledge) : NOTHING;
    }
    const summaries = Object.entries(grammar.actions).map(([name, { summary }]) => [name, summary]);
    return { proposals: proposals(Object.fromEntries(summaries)), files: "none" };
  }
  const { place, named } = placeOf(grammar, words);
  if (current.startsWith("-") && named !== undefined) {
    return { proposals: optionsOf(grammar, words), files: "none" };
  }
  return place ? await fill(place, all, knowledge) : NOTHING;
}

/**
 * The place behind some words.
 *
 * @returns It, if there is one; and how many words that are no options stand before it, unless it is an option's value.
 */
function placeOf(
  { places = [], options = {}, keywords }: Grammar,
  words: readonly string[],
): { place?: Place | undefined; named?: number } {
  const plain: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const option = word.startsWith("--") ? options[word.slice(2)] : undefined;
    if (option?.type === "string") {
      if (at === words.length - 1) return { place: option.value };
      at++;
    } else if (!word.startsWith("-")) {
      plain.push(word);
    }
  }
  const named = plain.length;
  if (keywords && named >= places.length) {
    return { place: keywordPlace(keywords, plain.slice(places.length)), named };
  }
  return { place: places[named], named };
}

/** Reads keywords as `set` does, and tells what comes next: a value, or another keyword. */
function keywordPlace(
  keywords: NonNullable<Grammar["keywords"]>,
  words: readonly string[],
): Place | undefined {
  const peer: Place = { from: ["peer"] };
  let known: Readonly<Record<string, Place | null>> = { ...keywords.interface, peer };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const value = known[word];
    if (value === undefined) return undefined;
    if (value === null) continue;
    if (at === words.length - 1) return value;
    if (word === "peer") known = { ...keywords.peer, peer };
    at++;
  }
  return { words: Object.fromEntries(Object.keys(known).map((word) => [word, ""])) };
}

function optionsOf({ options = {} }: Grammar, words: readonly string[]): Proposal[] {
  const unused = Object.entries(options).filter(([name, { short }]) =>
    !words.includes(`--${name}`) && !(short && words.includes(`-${short}`))
  );
  return unused.map(([name, { summary }]) => ({ word: `--${name}`, summary }));
}

async function fill(
  { words = {}, from = [] }: Place,
  before: readonly string[],
  { find }: Knowledge,
): Promise<Completion> {
  const found: Proposal[] = proposals(words);
  let files: Files = "none";
  for (const source of from) {
    if (source === "config" || source === "file" || source === "folder") files = source;
    else found.push(...await find(source, before));
  }
  return { proposals: found, files };
}

function proposals(words: Words): Proposal[] {
  return Object.entries(words).map(([word, summary]) => ({ word, summary }));
}
