/**
 * A page of the manual in roff, with the macros of man(7).
 *
 * @module
 */

import type { Block, Document, Span } from "./document.ts";

/** The header and footer of a manual page. */
export interface RoffOptions {
  /** Its name, such as `wgd-quick`. */
  readonly name: string;
  /** Its section, 7 or 8. */
  readonly section: number;
  /** When it was last changed, such as `2026-11-25`. */
  readonly date: string;
  /** The program's name and version, such as `wgd 0.1.0`. */
  readonly source: string;
  /** The manual page behind a link's target; undefined if the target is not a page. */
  readonly reference: (target: string) => { readonly name: string; readonly section: number } | undefined;
}

/** Renders a page. */
export function renderRoff(page: Document, options: RoffOptions): string {
  const { name, section, date, source } = options;
  const lines = [
    `.TH ${name.toUpperCase()} ${section} "${date}" "${source}"`,
    ".SH NAME",
    `${escape(name)} \\- ${escape(page.summary)}`,
  ];
  if (page.synopsis.length > 0) lines.push(".SH SYNOPSIS", ".nf", ...page.synopsis.map(synopsis), ".fi");
  if (page.blocks[0]?.kind !== "heading") lines.push(".SH DESCRIPTION");
  let before: Block | undefined;
  for (const block of page.blocks) {
    lines.push(...render(block, before, options));
    before = block;
  }
  return `${lines.join("\n")}\n`;
}

function render(block: Block, before: Block | undefined, options: RoffOptions): string[] {
  switch (block.kind) {
    case "heading":
      return block.depth === 2 ? [`.SH ${escape(block.text.toUpperCase())}`] : [`.SS ${escape(block.text)}`];
    case "paragraph":
      // A heading begins a new paragraph.
      return [...(before && before.kind !== "heading" ? [".PP"] : []), ...flow(block.text, options)];
    case "example":
      return [
        ...(before?.kind === "heading" ? [] : [".PP"]),
        ".RS 4",
        ".nf",
        ...block.lines.map(literal),
        ".fi",
        ".RE",
      ];
    case "item":
      return block.term
        ? [".TP", protect(inline(block.term, options)), ...flow(block.text, options)]
        : [".IP \\(bu 2", ...flow(block.text, options)];
  }
}

/** A line of the synopsis: literal words in bold, placeholders in italics. */
function synopsis(line: string): string {
  const parts = line.split(/(<[^>]+>)/).map((part) =>
    part.startsWith("<") ? `\\fI${escape(part)}\\fR` : escape(part, true).replace(/[\w\\-]*\w/g, "\\fB$&\\fR")
  );
  return protect(parts.join(""));
}

function literal(line: string): string {
  return line === "" ? ".sp" : protect(escape(line, true));
}

/** The longest line of text in the source; roff fills lines itself. */
const LINE = 78;

/** Renders text. Each sentence begins on a new line, so that roff sets the space after a sentence. */
function flow(text: readonly Span[], options: RoffOptions): string[] {
  const sentences = inline(text, options).split(/(?<=[.?!]\)?) +(?=[A-Z\\])/);
  return sentences.flatMap((sentence) => fold(sentence)).map(protect);
}

function fold(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/ +/)) {
    if (line !== "" && line.length + 1 + word.length > LINE) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function inline(text: readonly Span[], { reference }: RoffOptions): string {
  return text.map(({ style, text, target = "" }) => {
    switch (style) {
      case "plain":
        return escape(text);
      case "code":
        return `\\fB${escape(text, true)}\\fR`;
      case "strong":
        return `\\fB${escape(text)}\\fR`;
      case "emphasis":
        return `\\fI${escape(text)}\\fR`;
      case "link": {
        const page = reference(target);
        if (page) return `\\fB${escape(page.name)}\\fR(${page.section})`;
        return text === target ? escape(text) : `${escape(text)} (${escape(target)})`;
      }
    }
  }).join("");
}

/** Characters that roff would replace (groff_char(7)). */
const CHARACTERS: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "^": "\\(ha",
  "~": "\\(ti",
  "`": "\\(ga",
};

/** @param code Whether the text is code, whose quotes and hyphens must be those of a keyboard. */
function escape(text: string, code = false): string {
  return text.replace(/[\\^~`]/g, (character) => CHARACTERS[character]!)
    .replace(/['-]/g, (character) => !code ? character : character === "-" ? "\\-" : "\\(aq")
    // Not every viewer of manual pages expects UTF-8.
    .replace(
      /[^\x20-\x7e]/gu,
      (c) => `\\[u${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
    );
}

/** Escapes a dot or quote at the beginning of a line, which would make it a request. */
function protect(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
