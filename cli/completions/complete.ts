/**
 * Completes a command line: finds the words that can come next.
 *
 * @module
 */

import type { Argument, Choices, Grammar, Source } from "../grammar_types.ts";

/** A possible word. */
export interface Proposal {
  readonly word: string;
  /** What it means, in a few words; may be empty. */
  readonly summary: string;
}

/** The kind of files that the shell completes by itself. */
export type Files = "none" | "config" | "file" | "folder";

/** All words that are possible. */
export interface Completion {
  readonly proposals: readonly Proposal[];
  /** The kind of files that the shell adds. */
  readonly files: Files;
}

/** Choices from this machine. A source that cannot be read gives an empty list. */
export interface CompletionContext {
  /** All commands with their summaries. */
  readonly commands: Choices;
  /** The grammar of a command. */
  readonly grammar: (command: string) => Grammar | undefined;
  /** Choices from a source other than files; `words` are the earlier words, without the command's name. */
  readonly find: (source: Source, words: readonly string[]) => Promise<readonly Proposal[]>;
}

const NOTHING: Completion = { proposals: [], files: "none" };
const HELP: Choices = { "--help": "shows how to use it" };

/**
 * Proposes words. They are not filtered by what is typed already: each shell has its own way to match.
 *
 * @param typed The words after the program's name; the last one is being typed and may be empty.
 */
export async function complete(typed: readonly string[], context: CompletionContext): Promise<Completion> {
  const before = typed.slice(0, -1);
  const current = typed.at(-1) ?? "";
  const [command, ...rest] = before;
  if (command === undefined) {
    const options = current.startsWith("-") ? { ...HELP, "--version": "shows the version" } : {};
    return { proposals: proposals({ ...context.commands, ...options }), files: "none" };
  }
  const grammar = context.grammar(command);
  return grammar ? await follow(grammar, rest, current, rest, context) : NOTHING;
}

async function follow(
  grammar: Grammar,
  words: readonly string[],
  current: string,
  all: readonly string[],
  context: CompletionContext,
): Promise<Completion> {
  if (grammar.actions) {
    const [action, ...rest] = words;
    if (action !== undefined) {
      const chosen = Object.hasOwn(grammar.actions, action) ? grammar.actions[action]! : undefined;
      return chosen ? await follow(chosen, rest, current, all, context) : NOTHING;
    }
    const summaries = Object.entries(grammar.actions).map(([name, { summary }]) => [name, summary]);
    return { proposals: proposals(Object.fromEntries(summaries)), files: "none" };
  }
  const { argument, named } = argumentAt(grammar, words);
  if (current.startsWith("-") && named !== undefined) {
    return { proposals: optionsOf(grammar, words), files: "none" };
  }
  return argument ? await fill(argument, all, context) : NOTHING;
}

/**
 * Finds the argument that comes after some words.
 *
 * @returns The argument, if there is one, and how many positionals come before it, unless it is an option's value.
 */
function argumentAt(
  { positionals = [], options = {}, keywords }: Grammar,
  words: readonly string[],
): { argument?: Argument | undefined; named?: number } {
  const plain: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const option = word.startsWith("--") ? options[word.slice(2)] : undefined;
    if (option?.type === "string") {
      if (at === words.length - 1) return { argument: option.value };
      at++;
    } else if (!word.startsWith("-")) {
      plain.push(word);
    }
  }
  const named = plain.length;
  if (keywords && named >= positionals.length) {
    return { argument: keywordArgument(keywords, plain.slice(positionals.length)), named };
  }
  return { argument: positionals[named], named };
}

/** Parses keywords as `set` does, and returns what can come next: a value or another keyword. */
function keywordArgument(
  keywords: NonNullable<Grammar["keywords"]>,
  words: readonly string[],
): Argument | undefined {
  const peer: Argument = { from: ["peer"] };
  let known: Readonly<Record<string, Argument | null>> = { ...keywords.interface, peer };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const value = known[word];
    if (value === undefined) return undefined;
    if (value === null) continue;
    if (at === words.length - 1) return value;
    if (word === "peer") known = { ...keywords.peer, peer };
    at++;
  }
  return { choices: Object.fromEntries(Object.keys(known).map((word) => [word, ""])) };
}

function optionsOf({ options = {} }: Grammar, words: readonly string[]): Proposal[] {
  const unused = Object.entries(options).filter(([name, { short }]) =>
    !words.includes(`--${name}`) && !(short && words.includes(`-${short}`))
  );
  return unused.map(([name, { summary }]) => ({ word: `--${name}`, summary }));
}

async function fill(
  { choices = {}, from = [] }: Argument,
  before: readonly string[],
  { find }: CompletionContext,
): Promise<Completion> {
  const found: Proposal[] = proposals(choices);
  let files: Files = "none";
  for (const source of from) {
    if (source === "config" || source === "file" || source === "folder") files = source;
    else found.push(...await find(source, before));
  }
  return { proposals: found, files };
}

function proposals(choices: Choices): Proposal[] {
  return Object.entries(choices).map(([word, summary]) => ({ word, summary }));
}
