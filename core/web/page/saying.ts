/**
 * Texts that the server chooses. A response has a code and values for every language, and the text in English.
 *
 * @module
 */

import { tIfKnown } from "./text.ts";

/** A text that the server chose. */
export interface Saying {
  readonly code: string;
  readonly values: Readonly<Record<string, string>>;
  /** In English. */
  readonly text: string;
}

/** The text in the user's language: of a section of the messages, or about what failed. */
export function sayingText(section: "sync" | "try", { code, values, text }: Saying): string {
  return tIfKnown(`${section}.${code}`, values) ?? tIfKnown(`fault.${code}`, values) ?? text;
}
