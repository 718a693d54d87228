/**
 * Changes of interfaces together with the store. The keeper's files are not part of the store's transaction. So an
 * interface is marked as unsettled in the keeper's folder before the transaction, and settled after it: it is kept if the
 * store has its network, and removed otherwise. A process that is killed in between leaves nothing incomplete.
 *
 * @module
 */

import type { KeeperClient } from "./keeper/client.ts";
import type { KeeperFiles } from "./keeper/files.ts";
import type { KeptNetwork, Verbs } from "./keeper/verbs.ts";
import type { Records } from "./store/store.ts";

/** Makes and removes interfaces. */
export interface Interfaces {
  /** Makes an unsettled interface with a new key. */
  make(wanted: Verbs["makeNetwork"]["takes"]): Promise<KeptNetwork>;
  /** Marks an interface as unsettled. */
  unsettle(name: string): Promise<void>;
  /** Names of unsettled interfaces. */
  unsettled(): Promise<readonly string[]>;
  /** Keeps or removes an unsettled interface. */
  settle(name: string, keep: boolean): Promise<void>;
}

/** The interfaces of a running keeper. */
export function interfacesOf(keeper: KeeperClient): Interfaces {
  return {
    make: (wanted) => keeper.ask("makeNetwork", wanted),
    unsettle: async (name) => void await keeper.ask("unsettle", { interface: name }),
    unsettled: () => keeper.ask("unsettled", {}),
    settle: async (name, keep) => void await keeper.ask("settle", { interface: name, keep }),
  };
}

/** The interfaces in a keeper's files, for root. The keeper brings them up when it starts. */
export function interfacesIn(files: KeeperFiles): Interfaces {
  return {
    make: (wanted) => files.make(wanted),
    unsettle: (name) => files.unsettle(name),
    unsettled: async () => (await files.unsettled()).map((one) => one.interface),
    settle: (name, keep) => keep ? files.keep(name) : files.remove(name),
  };
}

/**
 * Changes the store and interfaces. If one fails, neither is changed.
 *
 * @param work Uses only the records that it is given.
 */
export async function changeTogether<T>(
  store: Records,
  interfaces: Interfaces,
  work: (records: Records) => Promise<T>,
): Promise<T> {
  let result;
  try {
    result = await store.transaction(async (records) => {
      await settle(records, interfaces);
      return await work(records);
    });
  } catch (error) {
    // If this fails too, the next start settles it.
    await settleLeft(store, interfaces).catch(() => {});
    throw error;
  }
  await settleLeft(store, interfaces);
  return result;
}

/** Settles what a killed process left. In a transaction, so that no other process is making a network meanwhile. */
export async function settleLeft(store: Records, interfaces: Interfaces): Promise<void> {
  await store.transaction((records) => settle(records, interfaces));
}

async function settle(records: Records, interfaces: Interfaces): Promise<void> {
  const unsettled = await interfaces.unsettled();
  if (unsettled.length === 0) return;
  const kept = new Set((await records.networks.list()).map((network) => network.interface));
  for (const name of unsettled) await interfaces.settle(name, kept.has(name));
}
