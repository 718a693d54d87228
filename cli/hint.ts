/**
 * Prints hints about errors, on a line that begins with `hint: `.
 *
 * @module
 */

import { complain } from "./render/output.ts";

/** What to do about an error or what caused it; undefined if it is unknown or already in the message. */
export function hintOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { hint, advice } = at as { hint?: unknown; advice?: unknown };
    const text = hint ?? advice;
    if (typeof text !== "string" || text === "") continue;
    return (error as Error).message.includes(text) ? undefined : text;
  }
  return undefined;
}

/** Prints the hint of an error, if it has one. */
export function complainHint(error: unknown): void {
  const hint = hintOf(error);
  if (hint !== undefined) complain(`hint: ${hint}`);
}
