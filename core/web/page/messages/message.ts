/**
 * What a text of the page is. `{name}` stands for a value. A text with `one` and `other` follows a number.
 *
 * @module
 */

/** A text, or its forms by number. */
export type Message = string | { readonly one: string; readonly other: string };

/** The same texts in another language: none is missing, and there is no other. */
export type Translated<English> = { readonly [Name in keyof English]: Message };
