/**
 * Sets all peers of an interface to those of the store, in slices. Other changes made meanwhile stay, because the keeper
 * only removes peers that no request has named since the beginning.
 *
 * @module
 */

import type { KeeperClient } from "./keeper/client.ts";
import { setRoutes } from "./device_routes.ts";
import type { KeptPeer, Unroutable } from "./keeper/verbs.ts";
import type { Network } from "./store/records.ts";
import type { Records } from "./store/store.ts";

/** Does the work of a slice. No other work of this process runs between the read and the write. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** A comparison of an interface with the store. */
export class PeerComparison {
  readonly #store: Records;
  readonly #keeper: KeeperClient;
  readonly #inTurn: InTurn;
  readonly #attempt: number;

  private constructor(
    { store, keeper }: { store: Records; keeper: KeeperClient },
    /** The network of the interface. */
    readonly network: Pick<Network, "id" | "interface">,
    inTurn: InTurn,
    attempt: number,
  ) {
    this.#store = store;
    this.#keeper = keeper;
    this.#inTurn = inTurn;
    this.#attempt = attempt;
  }

  /**
   * Begins to compare an interface. First, the tunnels of devices that may not connect are ended. They may still be there
   * although the store already says so, because a change could not be applied.
   *
   * @throws {KeeperError} If the interface cannot be changed.
   */
  static async begin(
    sources: { store: Records; keeper: KeeperClient },
    network: Pick<Network, "id" | "interface">,
    inTurn: InTurn = (work) => work(),
  ): Promise<PeerComparison> {
    const attempt = await inTurn(() => sources.keeper.ask("beginPeers", { interface: network.interface }));
    const comparison = new PeerComparison(sources, network, inTurn, attempt);
    await comparison.#inSlices((after) => comparison.#cutSlice(after));
    return comparison;
  }

  /**
   * Adds and corrects the peers of devices that may connect, and removes peers that the store does not have.
   *
   * @returns The networks behind devices to which there can be no route.
   */
  async finish(): Promise<readonly Unroutable[]> {
    await this.#inSlices((after) => this.#setSlice(after));
    await this.#inTurn(() => this.#keeper.ask("endPeers", this.#target));
    return await this.#inTurn(() => setRoutes({ store: this.#store, keeper: this.#keeper }, this.network));
  }

  get #target(): { interface: string; attempt: number } {
    return { interface: this.network.interface, attempt: this.#attempt };
  }

  /** @param work Receives the last public key of the slice before. It returns undefined if there are no more. */
  async #inSlices(work: (after: string) => Promise<string | undefined>): Promise<void> {
    for (let after: string | undefined = ""; after !== undefined;) {
      const last: string = after;
      after = await this.#inTurn(() => work(last));
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  async #cutSlice(after: string): Promise<string | undefined> {
    const { publicKeys, last } = await this.#store.devices.cutOff(this.network.id, after);
    if (publicKeys.length > 0) await this.#keeper.ask("cutPeers", { ...this.#target, publicKeys });
    return last;
  }

  /**
   * Another process, such as `wgd peer`, may change the store and the interface between the read and the write. So the
   * store is read again afterwards, and differences are corrected.
   */
  async #setSlice(after: string): Promise<string | undefined> {
    const { devices } = this.#store;
    const { id, interface: name } = this.network;
    let set = await devices.admitted(id, after);
    const last = set.at(-1)?.publicKey;
    if (last === undefined) return undefined;
    await this.#keeper.ask("keepPeers", { ...this.#target, peers: set });
    for (;;) {
      const admitted = await devices.admitted(id, after, last);
      const keys = new Set(admitted.map(({ publicKey }) => publicKey));
      const before = new Set(set.map(nameOf));
      const gone = set.filter(({ publicKey }) => !keys.has(publicKey));
      // A key may belong to another device now, with other addresses.
      const added = admitted.filter((peer) => !before.has(nameOf(peer)));
      if (gone.length + added.length === 0) return last;
      await this.#keeper.ask("removePeers", {
        interface: name,
        publicKeys: gone.map(({ publicKey }) => publicKey),
      });
      await this.#keeper.ask("addPeers", { interface: name, peers: added });
      set = admitted;
    }
  }
}

function nameOf({ publicKey, addresses, networks = [] }: KeptPeer): string {
  return [publicKey, ...[...addresses, ...networks].sort()].join(" ");
}
