/**
 * What went wrong, in words.
 *
 * @module
 */

import { ApiError } from "./api.ts";
import { t, tIfKnown } from "./text.ts";

/** An error in words. */
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  const { status, code, message } = error;
  if (status === 429) return t("error.too-many");
  return tIfKnown(`error.${code}`, { status, message: sentence(message) }) ??
    (message ? sentence(message) : t("error.failed", { status }));
}

/** The server's words as a sentence, without the name of a field before them: they stand at the field. */
function sentence(message: string): string {
  const text = message.replace(/^"[\w.]+": /, "");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
