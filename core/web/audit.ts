/**
 * Lines of the audit log about requests.
 *
 * @module
 */

import { actorName } from "./actor.ts";
import type { Call } from "./routing.ts";
import type { Records } from "./store/store.ts";

/**
 * Logs an action.
 *
 * @param target The changed object, such as `user:ID`.
 * @param detail The changes, without secrets.
 * @param records The records of the transaction that makes the change, if there is one.
 */
export async function audit(
  { actor, context: { store, clock }, info }: Pick<Call, "actor" | "context" | "info">,
  action: string,
  target: string,
  detail: Readonly<Record<string, unknown>> = {},
  { events }: Pick<Records, "events"> = store,
): Promise<void> {
  await events.add({ actor: actorName(actor), action, target, address: info.address, detail }, clock());
}
