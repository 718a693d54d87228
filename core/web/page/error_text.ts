/**
 * Texts for errors.
 *
 * @module
 */

import { ApiError } from "./api.ts";
import { t, tIfKnown } from "./text.ts";

/** The most specific text for an error: for what is wrong with the field, for the field, or for the kind of error. */
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  const { status, code, field, detail } = error;
  const kind = status === 429 ? "error.too-many-attempts" : `error.${code}`;
  const ofField = field === undefined ? undefined : tIfKnown(`${kind}.${field.split(".").at(-1)}`);
  const exact = detail && tIfKnown(`${field}.${detail.code}`, detail.values);
  return exact ?? ofField ?? tIfKnown(kind, { status }) ?? t("error.failed", { status });
}
