/**
 * What went wrong, in words.
 *
 * @module
 */

import { ApiError } from "./api.ts";
import { t, tIfKnown } from "./text.ts";

/** An error in words: those for the field that is wrong, else those for its kind. */
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  const { status, code, field } = error;
  const kind = status === 429 ? "error.too-many-attempts" : `error.${code}`;
  const ofField = field === undefined ? undefined : tIfKnown(`${kind}.${field.split(".").at(-1)}`);
  return ofField ?? tIfKnown(kind, { status }) ?? t("error.failed", { status });
}
