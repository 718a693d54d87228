/**
 * Reads a page of the manual from Markdown into the elements that a terminal and roff can show.
 *
 * @module
 */

import { lexer, type Token, type Tokens } from "marked";
import { pageTitle } from "./pages.ts";

/** A piece of text with one style. */
export interface Span {
  readonly style: "plain" | "strong" | "emphasis" | "code" | "link";
  readonly text: string;
  /** The target of a link: another page, as `config.md`, or an address. */
  readonly target?: string;
}

/** A part of a page. */
export type Block =
  | { readonly kind: "heading"; readonly text: string; readonly depth: number }
  | { readonly kind: "paragraph"; readonly text: readonly Span[] }
  | { readonly kind: "example"; readonly lines: readonly string[] }
  /** An item of a list; with a term if it begins with code and a colon: "`--json`: prints JSON". */
  | { readonly kind: "item"; readonly term?: readonly Span[]; readonly text: readonly Span[] };

/** A whole page. */
export interface Document {
  /** Its title, such as `wgd quick` or `config`. */
  readonly title: string;
  /** A summary in a few words. */
  readonly summary: string;
  /** The synopsis, line by line; empty for a topic. */
  readonly synopsis: readonly string[];
  readonly blocks: readonly Block[];
}

/**
 * Reads a page. It begins with `# TITLE: SUMMARY`; the page of a command continues with its synopsis, a block of code.
 *
 * @throws {SyntaxError} If the page has an element that cannot be shown, which is a mistake in the page.
 */
export function parseDocument(markdown: string): Document {
  const tokens = lexer(markdown).filter(({ type }) => type !== "space");
  const { title, summary } = pageTitle(markdown);
  const first = tokens[1];
  const synopsis = first?.type === "code" && first.text.startsWith("wgd") ? first.text.split("\n") : [];
  const rest = tokens.slice(synopsis.length > 0 ? 2 : 1);
  return { title, summary, synopsis, blocks: rest.flatMap(blocks) };
}

function blocks(token: Token): Block[] {
  switch (token.type) {
    case "heading":
      return [{ kind: "heading", text: token.text, depth: token.depth }];
    case "paragraph":
      return [{ kind: "paragraph", text: spans(token.tokens) }];
    case "code":
      return [{ kind: "example", lines: token.text.split("\n") }];
    case "list":
      return (token as Tokens.List).items.map(item);
    default:
      return foreign(token);
  }
}

function item({ tokens }: Tokens.ListItem): Block {
  const [only, ...more] = tokens;
  if (only?.type !== "text" || more.length > 0) return foreign(more[0] ?? only!);
  const text = spans(only.tokens);
  const colon = text.findIndex(({ style, text }) => style === "plain" && text.startsWith(": "));
  if (text[0]?.style !== "code" || colon < 0) return { kind: "item", text };
  const after = { ...text[colon]!, text: text[colon]!.text.slice(2) };
  return { kind: "item", term: text.slice(0, colon), text: [after, ...text.slice(colon + 1)] };
}

function spans(tokens: Token[] = []): Span[] {
  return tokens.map((token): Span => {
    const text = token.type === "codespan" ? token.text : plain(token);
    switch (token.type) {
      case "text":
      case "escape":
        return { style: "plain", text };
      case "codespan":
        return { style: "code", text };
      case "strong":
        return { style: "strong", text };
      case "em":
        return { style: "emphasis", text };
      case "link":
        return { style: "link", text, target: token.href };
      default:
        return foreign(token);
    }
  });
}

function plain(token: Token): string {
  const nested: Token[] = "tokens" in token ? token.tokens ?? [] : [];
  const strange = nested.find(({ type }) => type !== "text" && type !== "escape");
  if (strange) return foreign(strange);
  // The lines of a paragraph are joined. Entities are not decoded, so there must be none.
  const text = (token as Tokens.Text).text.replaceAll("\n", " ");
  return /&#?\w+;/.test(text) ? foreign(token) : text;
}

function foreign({ type, raw }: Token): never {
  throw new SyntaxError(`a page cannot have ${type} here: ${raw.slice(0, 60)}`);
}
