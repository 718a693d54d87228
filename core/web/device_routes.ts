/**
 * The system's routes to networks behind devices. One that cannot be set, such as to a network of the server itself, is
 * not a fault of the interface: everything else works, and it is tried again when the machine's network changes.
 *
 * @module
 */

import type { KeeperClient } from "./keeper/client.ts";
import type { Unroutable } from "./keeper/verbs.ts";
import { GrowingPauses } from "./growing_pauses.ts";
import { Retries } from "./retries.ts";
import type { Network } from "./store/records.ts";
import type { Records } from "./store/store.ts";

/** Longest pause in milliseconds between two attempts while the machine's network does not change. */
const LONGEST_WAIT = 60 * 60_000;

type Named = Pick<Network, "id" | "interface">;

/**
 * Sets the system's routes to the networks behind the devices of a network.
 *
 * @returns The networks to which there can be no route.
 * @throws {KeeperError} If the keeper cannot do it.
 */
export async function setRoutes(
  { store, keeper }: { store: Pick<Records, "devices">; keeper: KeeperClient },
  { id, interface: name }: Named,
): Promise<readonly Unroutable[]> {
  return await keeper.ask("setRoutes", { interface: name, networks: await store.devices.routedNetworks(id) });
}

/** The networks behind devices to which there is no route. */
export class DeviceRoutes implements Disposable {
  readonly #retries: Retries;
  readonly #unroutable = new Map<string, ReadonlyMap<string, string>>();
  readonly #changes = new GrowingPauses();

  /** @param retry Sets the routes of an interface again and calls `note` or `failed`. */
  constructor(retry: (name: string) => void) {
    this.#retries = new Retries(retry, LONGEST_WAIT);
  }

  /** Notes the result of an attempt. */
  note(name: string, unroutable: readonly Unroutable[]): void {
    this.#retries.begin(name);
    if (unroutable.length === 0) {
      this.#unroutable.delete(name);
      this.#changes.forget(name);
      this.#retries.end(name);
      return;
    }
    this.#unroutable.set(name, new Map(unroutable.map(({ network, cause }) => [network, cause])));
    this.#retries.failed(name);
  }

  /** An attempt has failed as a whole. It is repeated. */
  failed(name: string): void {
    this.#retries.failed(name);
  }

  /** Why there is no route to a network; undefined if there is one. */
  causeOf(name: string, network: string): string | undefined {
    return this.#unroutable.get(name)?.get(network);
  }

  /** All of them. */
  *all(): Generator<Unroutable & { readonly interface: string }, void> {
    for (const [name, networks] of this.#unroutable) {
      for (const [network, cause] of networks) yield { interface: name, network, cause };
    }
  }

  /** The machine's network has changed, so they are tried again, each time after a longer pause. */
  changed(): void {
    const now = performance.now();
    for (const name of this.#unroutable.keys()) {
      if (this.#retries.plan(name, this.#changes.pause(name, now))) this.#changes.planned(name, now);
    }
  }

  /** Stops its timers. */
  [Symbol.dispose](): void {
    this.#retries[Symbol.dispose]();
  }
}
