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
import { StoredError } from "./stored_error.ts";
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
 * Changes the store and interfaces. If `work` or its transaction fails, neither is changed. If an interface cannot be
 * settled after the transaction, the store stays changed and this throws; the interface follows as soon as it can be
 * settled.
 *
 * @param work Must use only the records that it receives.
 * @param settling Settles later what cannot be settled now. Without it, the next start does.
 */
export async function changeTogether<T>(
  store: Records,
  interfaces: Interfaces,
  work: (records: Records) => Promise<T>,
  settling?: Pick<Settling, "retry">,
): Promise<T> {
  let result;
  try {
    result = await store.transaction(async (records) => {
      await settle(records, interfaces);
      return await work(records);
    });
  } catch (error) {
    await settleLeft(store, interfaces).catch(() => settling?.retry());
    throw error;
  }
  try {
    await settleLeft(store, interfaces);
  } catch (error) {
    settling?.retry();
    throw new StoredError(error);
  }
  return result;
}

/** Milliseconds until the first retry; each failure doubles it. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;

/** Settles interfaces later, in a process that keeps running. Otherwise a removed network would stay up until its end. */
export class Settling implements AsyncDisposable {
  readonly #store: Records;
  readonly #interfaces: Interfaces;
  readonly #log: (text: string) => void;
  readonly #first: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param first Milliseconds until the first retry. */
  constructor(store: Records, interfaces: Interfaces, log: (text: string) => void, first = FIRST_RETRY) {
    this.#store = store;
    this.#interfaces = interfaces;
    this.#log = log;
    this.#first = first;
  }

  /** Retries until everything is settled. */
  retry(): void {
    if (this.#timer === undefined) this.#schedule(this.#first);
  }

  #schedule(wait: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#attempt = this.#attempt.then(() => this.#settle(wait));
    }, wait);
    Deno.unrefTimer(this.#timer);
  }

  async #settle(waited: number): Promise<void> {
    try {
      await settleLeft(this.#store, this.#interfaces);
    } catch (error) {
      this.#log(`interfaces could not be kept or removed: ${(error as Error).message}`);
      if (this.#timer === undefined) this.#schedule(Math.min(2 * waited, LONGEST_RETRY));
    }
  }

  /** Ends its timer, after the current attempt. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#attempt;
  }
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
