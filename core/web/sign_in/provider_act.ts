/**
 * Applies changes that a provider has caused, and logs them.
 *
 * @module
 */

import type { Provider } from "../store/providers.ts";
import type { Records } from "../store/store.ts";
import type { SyncAction } from "./sync_decisions.ts";

/** Applies one action. It is called inside a transaction. `Peers.apply` updates the tunnels afterwards. */
export async function act(
  records: Records,
  provider: Provider,
  action: SyncAction,
  now: number,
): Promise<void> {
  const { users, sessions, groups } = records;
  const { kind, user, ...detail } = action;
  switch (action.kind) {
    case "disable":
      await users.change(user, { disabledBy: "directory", reason: action.reason }, now);
      await sessions.endAll(user);
      break;
    case "enable":
      await users.change(user, { disabledBy: null }, now);
      break;
    case "groups":
      await groups.setOfUser(user, provider.id, action.groups);
  }
  await noteOfProvider(records, provider, `user.${kind}`, user, detail, now);
}

/** Logs a change that a provider has caused. */
export async function noteOfProvider(
  { events }: Pick<Records, "events">,
  provider: Provider,
  action: string,
  userId: string,
  detail: Readonly<Record<string, unknown>>,
  now: number,
): Promise<void> {
  await events.add({
    actor: "system",
    action,
    target: `user:${userId}`,
    address: null,
    detail: { provider: provider.name, ...detail },
  }, now);
}
