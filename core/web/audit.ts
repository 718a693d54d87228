/**
 * Lines of the audit log about requests.
 *
 * @module
 */

import { actorName } from "./actor.ts";
import type { Call } from "./routing.ts";

/**
 * Logs an action.
 *
 * @param target The changed object, such as `user:ID`.
 * @param detail The changes, without secrets.
 */
export async function audit(
  { actor, context: { store, clock }, info }: Pick<Call, "actor" | "context" | "info">,
  action: string,
  target: string,
  detail: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await store.events.add({ actor: actorName(actor), action, target, address: info.address, detail }, clock());
}
