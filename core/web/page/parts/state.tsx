/**
 * The state of a device: a sign that differs in shape, and a word.
 *
 * @module
 */

import { t } from "../text.ts";
import type { State } from "../types.ts";

/** All states, as they are offered for choice. */
export const STATES: readonly State[] = ["online", "idle", "never", "expired", "disabled"];

/** The sign, with its word for those who do not see it. */
export function StateDot({ state }: { state: State }) {
  return (
    <span class={`dot ${state}`} role="img" aria-label={t(`state.${state}`)} title={t(`state.${state}`)} />
  );
}

/** Sign and word. */
export function StateBadge({ state }: { state: State }) {
  return (
    <span class={`badge ${state}`}>
      <span class={`dot ${state}`} aria-hidden="true" />
      {t(`state.${state}`)}
    </span>
  );
}
