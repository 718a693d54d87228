/**
 * Reads entries of a directory.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Entry, Filter } from "ldapts";

/** A search. */
export interface SearchOptions {
  /** Only the entry. @default Everything below it. */
  readonly scope?: "base";
  readonly sizeLimit?: number;
  /** In pages, so that the server's limit for one answer does not truncate it. */
  readonly paged?: boolean;
  readonly attributes: string[];
  /** Attributes whose values are bytes. */
  readonly explicitBufferAttributes?: string[];
}

/** Searches a directory. @throws {DirectoryError} If the answer is incomplete. */
export type Search = (base: string, filter: Filter, options: SearchOptions) => Promise<Entry[]>;

/** All values of an attribute as text. */
export function texts(entry: Entry, attribute: string): string[] {
  return values(entry, attribute).map((value) => typeof value === "string" ? value : value.toString("utf8"))
    .filter((value) => value !== "");
}

/** The first value of an attribute as text. */
export function text(entry: Entry, attribute: string): string | undefined {
  return texts(entry, attribute)[0];
}

/** The first value of an attribute that was requested as bytes. */
export function bytes(entry: Entry, attribute: string): Buffer | undefined {
  const [value] = values(entry, attribute);
  return value === undefined || value.length === 0 ? undefined : Buffer.from(value);
}

function values(entry: Entry, attribute: string): (string | Buffer)[] {
  // Attribute names are case-insensitive (RFC 4512, section 2.5).
  const key = Object.keys(entry).find((key) => key.toLowerCase() === attribute.toLowerCase());
  return key === undefined ? [] : [entry[key]!].flat();
}

/** Whether a name is a DN. */
export function isDn(name: string): boolean {
  return /^[A-Za-z][A-Za-z0-9-]*\s*=/.test(name);
}

/**
 * For comparison: DNs are case-insensitive, spaces around separators mean nothing, and a character can be escaped in two
 * ways (RFC 4514, sections 2.4 and 4). These names decide about rights, so different names never become equal.
 */
export function normalizeDn(dn: string): string {
  const plain = dn.replace(
    /(?:\\[0-9a-f]{2})+|\\(.)/gisu,
    (codes, character?: string) =>
      spell(
        character === undefined ? Buffer.from(codes.replaceAll("\\", ""), "hex") : Buffer.from(character),
      ),
  ).toLowerCase();
  return plain.split(/([,+])/).map((part) => {
    const [, type = "", value] = /^( *[^=]*?) *= *([^]*?) *$/.exec(part) ?? [];
    // These need no escape inside a value, but can have one.
    return value === undefined
      ? trim(part).replaceAll(" ", "\\20")
      : `${trim(type)}=${value.replace(/(?!^)#|[ =]/g, (character) => hex(Buffer.from(character)))}`;
  }).join("");
}

/** Without spaces at the ends. JavaScript's own function removes other characters too. */
function trim(text: string): string {
  return text.replace(/^ +| +$/g, "");
}

/** A part of a value. Separators, and bytes that are not UTF-8, are written as hex. */
function spell(value: Buffer): string {
  const characters = /[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[^]/g;
  return value.toString("latin1").replace(characters, (latin1) => {
    const bytes = Buffer.from(latin1, "latin1");
    const text = bytes.toString("utf8");
    return /[ ,=+"\\<>;#]/.test(text) || !Buffer.from(text).equals(bytes) ? hex(bytes) : text;
  });
}

function hex(bytes: Buffer): string {
  return bytes.toString("hex").replace(/../g, "\\$&");
}
