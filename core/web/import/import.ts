/**
 * Imports an existing server as a network of wgd web, completely or not at all.
 *
 * @module
 */

import { equalBytes, parseKey } from "../../config/key.ts";
import { getDevice } from "../../client/devices.ts";
import { listInterfaces } from "../../client/listing.ts";
import { publicKey } from "../../public_key.ts";
import { isThere } from "../backup.ts";
import { databasePlace, rememberPlace } from "../database.ts";
import { keeperFolder, keeperSocket, webFolder } from "../folders.ts";
import { openStore } from "../init.ts";
import { readCounters } from "../keeper/counters.ts";
import { changeTogether, interfacesIn } from "../interfaces.ts";
import { KeeperConnection } from "../keeper/client.ts";
import { KeeperFiles } from "../keeper/files.ts";
import { isRunning } from "../keeper/running.ts";
import { KeeperError } from "../keeper/verbs.ts";
import { makeFolders } from "../make_folders.ts";
import { PeerComparison } from "../peer_comparison.ts";
import type { Network } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { type Counted, GATEWAY } from "../store/traffic.ts";
import { type Found, ImportError } from "./found.ts";
import { type ImportChoices, type ImportPlan, planImport } from "./plan.ts";

/** How to import a server. */
export interface ImportOptions {
  /** Only plans it. */
  readonly dryRun?: boolean;
  /** The URL of the server's database from the command line. It is stored for later commands. */
  readonly database?: string | undefined;
}

/** The result of an import. */
export interface Imported {
  readonly plan: ImportPlan;
  /** Whether a running keeper serves the network, or why it cannot. */
  readonly keeper: "none" | "serves" | KeeperError;
}

/**
 * Imports a server. A running interface is not changed.
 *
 * @returns The plan. If it has conflicts, nothing was changed.
 */
export async function importServer(
  data: string,
  found: Found,
  choices: ImportChoices,
  { dryRun = false, database }: ImportOptions,
  now: number,
): Promise<Imported> {
  if (Deno.uid() !== 0) {
    throw new ImportError("only root can import a server: it has the keys of its interface");
  }
  const plan = planImport(found, choices, await networksOf(data, database));
  if (dryRun || plan.conflicts.length > 0) return { plan, keeper: "none" };
  await makeFolders(data);
  await using store = await openStore(data, database);
  const files = new KeeperFiles(keeperFolder(data));
  const { network } = plan;
  const counted = await countedBy(network);
  const imported = found.peers.map((peer) => [peer.publicKey, peer.presharedKey || null] as const);
  const networkId = await changeTogether(store, interfacesIn(files), async (records) => {
    const { id } = await records.networks.add(network, now);
    await files.adopt(network.interface, found.section, Object.fromEntries(imported));
    const devices: string[] = [];
    for (const { enabled, ...device } of plan.devices) {
      const made = await records.devices.add({ ...device, networkId: id }, now);
      if (!enabled) {
        await records.devices.change(made.id, { disabledAt: now, reason: `disabled in ${found.source}` });
      }
      devices.push(made.id);
    }
    await records.devices.takeCutChanges(now, { devices });
    await records.traffic.adopt(id, GATEWAY, counted);
    await records.events.add({
      actor: "system",
      action: "network.import",
      target: `network:${id}`,
      address: null,
      detail: { source: found.source, name: network.name, devices: plan.devices.length },
    }, now);
    await rememberPlace(data, await databasePlace(data, database));
    return id;
  });
  return { plan, keeper: await serveNow(data, store, networkId, network.interface) };
}

/**
 * Lets a running keeper serve an imported network. The web process needs no notice, because it reads the store each
 * time.
 *
 * @returns "serves", "none" if no keeper runs, or why it cannot serve the network.
 */
async function serveNow(
  data: string,
  store: Store,
  networkId: string,
  name: string,
): Promise<Imported["keeper"]> {
  if (!isRunning(data)) return "none";
  using keeper = new KeeperConnection(keeperSocket(data));
  try {
    await keeper.ask("settle", { interface: name, keep: true });
    const network = { id: networkId, interface: name };
    await (await PeerComparison.begin({ store, keeper }, network)).finish();
    return "serves";
  } catch (error) {
    if (error instanceof KeeperError) return error;
    throw error;
  }
}

/** The counters of a network's interface, if it is running. The keeper does not replace such an interface. */
async function countedBy(network: Pick<Network, "interface" | "publicKey">): Promise<Counted[]> {
  if (!(await listInterfaces()).includes(network.interface)) return [];
  const { privateKey } = await getDevice(network.interface);
  if (!privateKey || !equalBytes(publicKey(privateKey), parseKey(network.publicKey)!)) return [];
  return await readCounters(network.interface, {});
}

/** The networks of a server. A server that was never set up has none, and this does not set it up. */
async function networksOf(data: string, database: string | undefined): Promise<readonly Network[]> {
  if (!await isThere(webFolder(data))) return [];
  await using store = await openStore(data, database);
  return await store.networks.list();
}
