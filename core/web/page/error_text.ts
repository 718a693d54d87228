/**
 * Texts for errors.
 *
 * @module
 */

import { ApiError } from "./api.ts";
import { t, tIfKnown } from "./text.ts";

/** The text for an error: the one for the field that is wrong, or else the one for the kind of error. */
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  const { status, code, field } = error;
  const kind = status === 429 ? "error.too-many-attempts" : `error.${code}`;
  const ofField = field === undefined ? undefined : tIfKnown(`${kind}.${field.split(".").at(-1)}`);
  return ofField ?? tIfKnown(kind, { status }) ?? t("error.failed", { status });
}
