/**
 * A page of the manual on a terminal, or as plain text.
 *
 * @module
 */

import { styleText } from "node:util";
import type { Block, Document, Span } from "./document.ts";

/** How to render a page. */
export interface TerminalOptions {
  /** Longest line, in characters. */
  readonly width: number;
  /** Whether to use bold and underlined letters. */
  readonly styled: boolean;
}

type Style = "bold" | "underline";
/** A word that is not broken, and its styles: its parts may differ. */
type Word = readonly { readonly text: string; readonly style?: Style }[];

const INDENT = 2;
/** The columns of an item's term, before its text. */
const TERM = 20;

/** Renders a page; it ends with a line feed. */
export function renderForTerminal(page: Document, options: TerminalOptions): string {
  const lines = opening(page, options);
  let before: Block | undefined;
  for (const block of page.blocks) {
    // No empty line after a heading and between the items of a list.
    const close = before?.kind === "heading" || block.kind === "item" && before?.kind === "item";
    if (!close) lines.push("");
    lines.push(...render(block, options));
    before = block;
  }
  return `${lines.join("\n")}\n`;
}

function opening({ title, summary, synopsis }: Document, { styled }: TerminalOptions): string[] {
  if (synopsis.length === 0) return [paint(`${title}: ${summary}`, "bold", styled)];
  return synopsis.map((line, index) => (index === 0 ? "Usage: " : "       ") + line);
}

function render(block: Block, { width, styled }: TerminalOptions): string[] {
  switch (block.kind) {
    case "heading":
      return [paint(block.depth === 2 ? block.text.toUpperCase() : block.text, "bold", styled)];
    case "example":
      return block.lines.map((line) => line && " ".repeat(2 * INDENT) + line);
    case "paragraph":
      return wrap(words(block.text), { first: 0, rest: 0, width, styled });
    case "item":
      if (!block.term) {
        const text = [{ style: "plain" as const, text: "- " }, ...block.text];
        return wrap(words(text), { first: INDENT, rest: 2 * INDENT, width, styled });
      }
      return renderTerm(block.term, block.text, width, styled);
  }
}

function renderTerm(term: readonly Span[], text: readonly Span[], width: number, styled: boolean): string[] {
  const column = INDENT + TERM;
  const body = wrap(words(text), { first: column, rest: column, width, styled });
  const plain = term.map(({ text }) => text).join("");
  const head = " ".repeat(INDENT) +
    term.map(({ text, style }) => paint(text, style === "code" ? "bold" : undefined, styled)).join("");
  if (plain.length > TERM - 2) return [head, ...body];
  return [head + " ".repeat(TERM - plain.length) + body[0]!.trimStart(), ...body.slice(1)];
}

/** Splits text where a line may end. Code is not split. */
function words(text: readonly Span[]): Word[] {
  const all: Word[] = [];
  let word: { text: string; style?: Style }[] = [];
  const finish = () => {
    if (word.length > 0) all.push(word);
    word = [];
  };
  for (const { text: whole, style } of text) {
    const look = STYLES[style];
    const pieces = style === "code" ? [whole] : whole.split(/( +)/);
    for (const piece of pieces) {
      if (style !== "code" && /^ *$/.test(piece)) {
        if (piece !== "") finish();
      } else {
        word.push({ text: piece, ...(look && { style: look }) });
      }
    }
  }
  finish();
  return all;
}

const STYLES: Readonly<Record<Span["style"], Style | undefined>> = {
  plain: undefined,
  strong: "bold",
  code: "bold",
  emphasis: "underline",
  link: "underline",
};

interface Paragraph {
  /** Indentation of the first line and of the others. */
  readonly first: number;
  readonly rest: number;
  readonly width: number;
  readonly styled: boolean;
}

function wrap(all: readonly Word[], { first, rest, width, styled }: Paragraph): string[] {
  const lines: string[] = [];
  let line = " ".repeat(first);
  let length = first;
  let empty = true;
  for (const word of all) {
    const size = word.reduce((sum, { text }) => sum + text.length, 0);
    if (!empty && length + 1 + size > width) {
      lines.push(line);
      [line, length, empty] = [" ".repeat(rest), rest, true];
    }
    if (!empty) [line, length] = [`${line} `, length + 1];
    line += word.map(({ text, style }) => paint(text, style, styled)).join("");
    [length, empty] = [length + size, false];
  }
  return [...lines, line];
}

function paint(text: string, style: Style | undefined, styled: boolean): string {
  return styled && style ? styleText(style, text, { validateStream: false }) : text;
}
