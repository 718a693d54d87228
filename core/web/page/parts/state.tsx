/**
 * The state of a device: a sign with its own shape for each state, and a word.
 *
 * @module
 */

import { t } from "../text.ts";
import type { State } from "../types.ts";

/** All states, in the order of the menu. */
export const STATES: readonly State[] = ["online", "idle", "never", "expired", "disabled"];

/** The sign, with its word for screen readers. */
export function StateDot({ state }: { state: State }) {
  return (
    <span class={`dot ${state}`} role="img" aria-label={t(`state.${state}`)} title={t(`state.${state}`)} />
  );
}

/** The sign and the word. */
export function StateBadge({ state }: { state: State }) {
  return (
    <span class={`badge ${state}`}>
      <span class={`dot ${state}`} aria-hidden="true" />
      {t(`state.${state}`)}
    </span>
  );
}
