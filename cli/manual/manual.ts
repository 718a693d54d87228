/**
 * The pages of the manual by name, for a terminal or as manual pages.
 *
 * @module
 */

import { type Block, type Document, parseDocument } from "./document.ts";
import { commandPages, overviewPage, pageTitle, REVISED, topicPages } from "./pages.ts";
import { renderRoff } from "./roff.ts";
import { renderForTerminal, type TerminalOptions } from "./terminal.ts";

/** Sections of the manual: administration, and miscellaneous (man(1)). */
const [ADMINISTRATION, MISCELLANEOUS] = [8, 7];

/** A file of the system's manual. */
export interface ManualPage {
  /** Such as `wgd-quick.8`. */
  readonly file: string;
  readonly section: number;
  readonly roff: string;
}

/** The commands and topics that have a page. */
export function pageNames(): string[] {
  return [...commandPages.keys(), ...topicPages.keys(), "wgd"];
}

/** The topics with their summaries. */
export function topics(): { name: string; summary: string }[] {
  return [...topicPages].map(([name, text]) => ({ name, summary: pageTitle(text).summary }));
}

/** A page for the terminal; undefined if there is no page with that name. */
export function terminalPage(name: string, options: TerminalOptions): string | undefined {
  const page = document(name);
  return page && renderForTerminal(page, options);
}

/** All pages for the system's manual. */
export function* manualPages(version: string): Generator<ManualPage> {
  for (const page of pageNames()) {
    const { name, section } = reference(`${page}.md`)!;
    const options = { name, section, date: REVISED, source: `wgd ${version}`, reference };
    yield { file: `${name}.${section}`, section, roff: renderRoff(document(page)!, options) };
  }
}

function document(name: string): Document | undefined {
  if (name === "wgd") return withContents(parseDocument(overviewPage));
  const text = commandPages.get(name) ?? topicPages.get(name);
  return text === undefined ? undefined : parseDocument(text);
}

/** The overview lists the pages before its examples. */
function withContents(page: Document): Document {
  const list = (heading: string, pages: ReadonlyMap<string, string>): Block[] => [
    { kind: "heading", text: heading, depth: 2 },
    ...[...pages].map(([name, text]): Block => ({
      kind: "item",
      term: [{ style: "link", text: name, target: `${name}.md` }],
      text: [{ style: "plain", text: `${pageTitle(text).summary}.` }],
    })),
  ];
  const at = page.blocks.findIndex((block) => block.kind === "heading");
  const contents = [...list("Commands", commandPages), ...list("Topics", topicPages)];
  return { ...page, blocks: page.blocks.toSpliced(at, 0, ...contents) };
}

/** The manual page behind a link between pages. */
function reference(target: string): { name: string; section: number } | undefined {
  const page = target.replace(/\.md$/, "");
  if (page === target) return undefined;
  if (page === "wgd") return { name: "wgd", section: ADMINISTRATION };
  const section = commandPages.has(page) ? ADMINISTRATION : topicPages.has(page) ? MISCELLANEOUS : undefined;
  if (section === undefined) throw new Error(`there is no page ${target}`);
  return { name: `wgd-${page}`, section };
}
