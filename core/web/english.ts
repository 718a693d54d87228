/**
 * Texts of the page in English, for responses of the server. A response also has the code and the values, from which
 * the page makes the text in the user's language.
 *
 * @module
 */

import { type Key, MESSAGES } from "./page/messages/en.ts";
import type { Message } from "./page/messages/message.ts";

/** A text of the page, without its words. */
export interface Coded<Code extends string = string> {
  readonly code: Code;
  /** The values in the text. */
  readonly values: Readonly<Record<string, string>>;
}

/** A text with its code and values. */
export interface Saying<Code extends string = string> extends Coded<Code> {
  /** In English. */
  readonly text: string;
}

/** The codes of a section of the messages. */
export type CodeOf<Section extends string> = Key extends infer K
  ? K extends `${Section}.${infer C}` ? C : never
  : never;

/** The names of the values in a text. */
type NamesIn<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;

/** The names of the values in the text `section.code`. */
type NamesOf<Section extends string, Code extends string> = `${Section}.${Code}` extends infer Found
  ? Found extends Key ? NamesIn<(typeof MESSAGES)[Found]> : never
  : never;

/** The values that a text needs. It may also be given none if it needs none. */
type ValuesFor<Section extends string, Code extends string> = [NamesOf<Section, Code>] extends [never]
  ? [values?: Readonly<Record<never, string>>]
  : [values: Readonly<Record<NamesOf<Section, Code>, string>>];

/** Returns the code of the text `section.code`, with its values. */
export function code<Section extends string, Code extends CodeOf<Section>>(
  _section: Section,
  code: Code,
  ...[values = {}]: ValuesFor<Section, Code>
): Coded<Code> {
  return { code, values };
}

/** Returns the text `section.code`. */
export function say<Section extends string, Code extends CodeOf<Section>>(
  section: Section,
  code: Code,
  ...[given]: ValuesFor<Section, Code>
): Saying<Code> {
  const message: Message = MESSAGES[`${section}.${code}` as Key];
  const values: Readonly<Record<string, string>> = given ?? {};
  return { code, text: String(message).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? ""), values };
}
