/**
 * A server that exists becomes a network of wgd web: all of it, or nothing.
 *
 * @module
 */

import { keeperFolder } from "../folders.ts";
import { openStore } from "../init.ts";
import { KeeperFiles } from "../keeper/files.ts";
import { makeFolders } from "../make_folders.ts";
import { type Found, ImportError } from "./found.ts";
import { type ImportChoices, type ImportPlan, planImport } from "./plan.ts";

/**
 * Imports a server. The interface, if it runs, is not touched.
 *
 * @param dryRun Only plans it.
 * @returns What was made, or would be; with conflicts nothing was.
 */
export async function importServer(
  data: string,
  found: Found,
  choices: ImportChoices,
  dryRun: boolean,
  now: number,
): Promise<ImportPlan> {
  if (Deno.uid() !== 0) {
    throw new ImportError("only root can import a server: it has the keys of its interface");
  }
  await makeFolders(data);
  await using store = await openStore(data);
  const plan = planImport(found, choices, await store.networks.list());
  if (dryRun || plan.conflicts.length > 0) return plan;
  const files = new KeeperFiles(keeperFolder(data));
  const { network } = plan;
  const imported = found.peers.map((peer) => [peer.publicKey, peer.presharedKey || null] as const);
  await files.adopt(network.interface, found.section, Object.fromEntries(imported));
  try {
    await store.transaction(async (records) => {
      const { id } = await records.networks.add(network, now);
      for (const { enabled, ...device } of plan.devices) {
        const made = await records.devices.add({ ...device, networkId: id }, now);
        if (!enabled) {
          await records.devices.change(made.id, { disabledAt: now, reason: `disabled in ${found.source}` });
        }
      }
      await records.events.add({
        actor: "system",
        action: "network.import",
        target: `network:${id}`,
        address: null,
        detail: { source: found.source, name: network.name, devices: plan.devices.length },
      }, now);
    });
  } catch (error) {
    await files.remove(network.interface);
    throw error;
  }
  return plan;
}
