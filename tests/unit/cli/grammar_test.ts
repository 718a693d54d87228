import { deepEqual, equal, ok } from "node:assert/strict";
import { parseDocument, type Span } from "../../../cli/manual/document.ts";
import { commandPages } from "../../../cli/manual/pages.ts";
import { FIELDS, grammars } from "../../../cli/grammar.ts";
import type { Grammar } from "../../../cli/grammar_types.ts";
import { isField } from "../../../cli/render/fields.ts";
import { commands } from "../../../cli/table.ts";

/** The terms that a page lists below a heading. */
function listed(page: string, heading: string): string[] {
  const terms: string[] = [];
  let inside = false;
  for (const block of parseDocument(commandPages.get(page)!).blocks) {
    if (block.kind === "heading") inside = block.text === heading;
    if (inside && block.kind === "item") terms.push(...codes(block.term ?? []));
  }
  return terms.sort();
}

function codes(term: readonly Span[]): string[] {
  return term.filter(({ style }) => style === "code").map(({ text }) => text);
}

/** All options of a command and of its actions, as they are typed. */
function allOptions({ options = {}, actions = {} }: Grammar): string[] {
  const own = Object.entries(options).flatMap(([name, { short }]) =>
    short ? [`--${name}`, `-${short}`] : [`--${name}`]
  );
  return [...new Set([...own, ...Object.values(actions).flatMap((action): string[] => allOptions(action))])]
    .sort();
}

Deno.test("every command has a grammar, and its page lists exactly its options and actions", () => {
  deepEqual(Object.keys(grammars).sort(), [...commands.keys()].sort());
  for (const [name, grammar] of Object.entries(grammars)) {
    deepEqual(listed(name, "Options"), allOptions(grammar), `options of ${name}`);
    deepEqual(listed(name, "Actions"), Object.keys(grammar.actions ?? {}).sort(), `actions of ${name}`);
  }
});

Deno.test("completed fields and keywords are those that exist, and their pages list them", () => {
  for (const field of Object.keys(FIELDS)) ok(isField(field), field);
  deepEqual(listed("show", "Fields"), Object.keys(FIELDS).sort());
  const { interface: ours, peer } = grammars.set!.keywords!;
  deepEqual(listed("set", "Arguments"), [...Object.keys(ours), ...Object.keys(peer)].sort());
  equal(Object.keys(FIELDS).length, 12);
});
