/**
 * Texts of the page in English, for responses of the server. A response also has the code and the values, from which
 * the page makes the text in the user's language.
 *
 * @module
 */

import { type Key, MESSAGES } from "./page/messages.en.ts";

/** A text with its code and values. */
export interface Saying<Code extends string = string> {
  readonly code: Code;
  /** In English. */
  readonly text: string;
  /** The values in the text, for texts in other languages. */
  readonly values: Readonly<Record<string, string>>;
}

/** The codes of a section of the messages. */
export type CodeOf<Section extends string> = Key extends infer K
  ? K extends `${Section}.${infer C}` ? C : never
  : never;

/** Returns the text `section.code`. */
export function say<Section extends string, Code extends CodeOf<Section>>(
  section: Section,
  code: Code,
  values: Readonly<Record<string, string>> = {},
): Saying<Code> {
  const message = MESSAGES[`${section}.${code}` as Key] as string;
  return { code, text: message.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? ""), values };
}
