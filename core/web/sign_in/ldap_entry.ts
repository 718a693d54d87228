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
 * ways (RFC 4514, sections 2.4 and 4).
 */
export function normalizeDn(dn: string): string {
  return dn.trim().replace(/(?:\\[0-9a-f]{2})+|\\(.)/gisu, (codes, character?: string) => {
    const value = character ?? Buffer.from(codes.replaceAll("\\", ""), "hex").toString("utf8");
    return value.replace(
      /[\s,=+"\\<>;#]/g,
      (special) => `\\${special.charCodeAt(0).toString(16).padStart(2, "0")}`,
    );
  }).toLowerCase().replace(/\s*([,=+])\s*/g, "$1");
}
