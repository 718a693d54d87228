/**
 * A server that exists becomes a network of wgd web: all of it, or nothing.
 *
 * @module
 */

import { equalBytes, parseKey } from "../../config/key.ts";
import { getDevice } from "../../client/devices.ts";
import { listInterfaces } from "../../client/listing.ts";
import { publicKey } from "../../public_key.ts";
import { isThere } from "../backup.ts";
import { databasePlace, rememberPlace } from "../database.ts";
import { keeperFolder, webFolder } from "../folders.ts";
import { openStore } from "../init.ts";
import { readCounters } from "../keeper/counters.ts";
import { KeeperFiles } from "../keeper/files.ts";
import { makeFolders } from "../make_folders.ts";
import type { Network } from "../store/records.ts";
import { type Counted, GATEWAY } from "../store/traffic.ts";
import { type Found, ImportError } from "./found.ts";
import { type ImportChoices, type ImportPlan, planImport } from "./plan.ts";

/** How to import a server. */
export interface ImportOptions {
  /** Only plans it. */
  readonly dryRun?: boolean;
  /** The URL of the server's database, if the command line says one. It is remembered. */
  readonly database?: string | undefined;
}

/**
 * Imports a server. The interface, if it runs, is not touched.
 *
 * @returns What was made, or would be; with conflicts nothing was.
 */
export async function importServer(
  data: string,
  found: Found,
  choices: ImportChoices,
  { dryRun = false, database }: ImportOptions,
  now: number,
): Promise<ImportPlan> {
  if (Deno.uid() !== 0) {
    throw new ImportError("only root can import a server: it has the keys of its interface");
  }
  const plan = planImport(found, choices, await networksOf(data, database));
  if (dryRun || plan.conflicts.length > 0) return plan;
  await makeFolders(data);
  await using store = await openStore(data, database);
  const files = new KeeperFiles(keeperFolder(data));
  const { network } = plan;
  const counted = await countedBy(network);
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
      await records.traffic.adopt(id, GATEWAY, counted);
      await records.events.add({
        actor: "system",
        action: "network.import",
        target: `network:${id}`,
        address: null,
        detail: { source: found.source, name: network.name, devices: plan.devices.length },
      }, now);
    });
    await rememberPlace(data, await databasePlace(data, database));
  } catch (error) {
    await files.remove(network.interface);
    throw error;
  }
  return plan;
}

/** What the interface of a network has counted, if it runs already. The keeper keeps such an interface as it is. */
async function countedBy(network: Pick<Network, "interface" | "publicKey">): Promise<Counted[]> {
  if (!(await listInterfaces()).includes(network.interface)) return [];
  const { privateKey } = await getDevice(network.interface);
  if (!privateKey || !equalBytes(publicKey(privateKey), parseKey(network.publicKey)!)) return [];
  return await readCounters(network.interface, {});
}

/** The networks of a server. One that was never set up has none, and stays so. */
async function networksOf(data: string, database: string | undefined): Promise<readonly Network[]> {
  if (!await isThere(webFolder(data))) return [];
  await using store = await openStore(data, database);
  return await store.networks.list();
}
