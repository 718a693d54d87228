/**
 * Synchronizes the interfaces with the store: the tunnel of a disabled or expired device or user ends at once.
 *
 * @module
 */

import type { KeeperClient } from "./keeper/client.ts";
import type { KeptPeer } from "./keeper/verbs.ts";
import type { Changed } from "./store/cut_changes.ts";
import type { Device } from "./store/records.ts";
import type { Store } from "./store/store.ts";

/** The longest delay of a timer (HTML, setTimeout: a signed 32-bit number). */
const LONGEST_WAIT = 2 ** 31 - 1;
/** Milliseconds until a request to the keeper is repeated if it did not answer. */
const RETRY = 1_000;

/** The peers of all interfaces. Changes are made one after the other, so that none undoes another. */
export class Peers implements Disposable {
  readonly #store: Store;
  readonly #keeper: KeeperClient;
  readonly #clock: () => number;
  readonly #log: (text: string) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** Devices and users that expired until then have been cut off. */
  #expired: number | undefined;
  #closed = false;

  constructor(store: Store, keeper: KeeperClient, clock: () => number, log: (text: string) => void) {
    this.#store = store;
    this.#keeper = keeper;
    this.#clock = clock;
    this.#log = log;
  }

  /** Sets the peers of every interface to those of the store. Unchanged peers keep their sessions. */
  sync(): Promise<void> {
    return this.#inTurn(async () => {
      const now = this.#clock();
      await this.#store.devices.takeCutChanges(now, "anything");
      this.#expired = now;
      for (const { id, interface: name } of await this.#store.networks.list()) await this.#set(id, name);
      await this.#wait();
    });
  }

  /**
   * Sets the peers of an interface. Another process, such as `wgd peer`, may change the store and the interface between the
   * read and the write. So the store is read again afterwards, and differences are corrected.
   */
  async #set(networkId: string, name: string): Promise<void> {
    let set = await this.#store.devices.admitted(networkId);
    await this.#keeper.ask("setPeers", { interface: name, peers: set });
    for (;;) {
      const admitted = await this.#store.devices.admitted(networkId);
      const [before, now] = [set, admitted].map((peers) => new Set(peers.map(({ publicKey }) => publicKey)));
      const gone = set.filter(({ publicKey }) => !now!.has(publicKey));
      const added = admitted.filter(({ publicKey }) => !before!.has(publicKey));
      if (gone.length + added.length === 0) return;
      await this.#keeper.ask("removePeers", {
        interface: name,
        publicKeys: gone.map(({ publicKey }) => publicKey),
      });
      await this.#keeper.ask("addPeers", { interface: name, peers: added });
      set = admitted;
    }
  }

  /**
   * Removes the peers of devices that may no longer connect, and adds those that may connect again. Must be called
   * after each change of a device, a user or their groups. If the keeper does not answer, this is repeated until it
   * does.
   *
   * @param changed What was changed. What has expired since the last call is found in any case.
   */
  apply(changed: Omit<Changed, "since"> | "anything"): Promise<void> {
    return this.#inTurn(async () => {
      const now = this.#clock();
      // If the clock was set back, what had expired is valid again.
      const isKnown = this.#expired !== undefined && this.#expired <= now && changed !== "anything";
      const changes = await this.#store.devices.takeCutChanges(
        now,
        isKnown ? { ...changed, since: this.#expired! } : "anything",
      );
      this.#expired = now;
      for (const [name, ofInterface] of Map.groupBy(changes, (change) => change.interface)) {
        const cut = ofInterface.filter((change) => change.cut !== null);
        const back = ofInterface.filter((change) => change.cut === null);
        await this.#keeper.ask("removePeers", {
          interface: name,
          publicKeys: cut.map(({ publicKey }) => publicKey),
        });
        const devices = await Promise.all(back.map(({ id }) => this.#store.devices.find(id)));
        const peers = devices.filter((device) => device !== undefined).map(peerOf);
        await this.#keeper.ask("addPeers", { interface: name, peers });
      }
      await this.#wait();
    });
  }

  /**
   * Adds the peer of a new device to the interface.
   *
   * @returns Its preshared key; empty if it has none.
   * @throws {KeeperError} If the interface cannot be changed.
   */
  add(device: Device): Promise<string> {
    return this.#inTurn(async () => {
      const { publicKey, network: { interface: name } } = device;
      await this.#keeper.ask("addPeers", { interface: name, peers: [peerOf(device)] });
      return await this.#keeper.ask("presharedKey", { interface: name, publicKey });
    });
  }

  /**
   * Removes a device. Its peer is removed first, so that no tunnel stays open if the rest fails.
   *
   * @throws {KeeperError} If the interface cannot be changed; then the device stays.
   */
  remove({ id, publicKey, network }: Device): Promise<void> {
    return this.#inTurn(async () => {
      await this.#keeper.ask("removePeers", { interface: network.interface, publicKeys: [publicKey] });
      await this.#store.devices.remove(id);
    });
  }

  /** Sets the timer for the next device or user that expires. */
  async #wait(): Promise<void> {
    const now = this.#clock();
    const next = await this.#store.devices.nextExpiry(now);
    this.#schedule(next === undefined ? undefined : next - now, () => this.apply({}));
  }

  #schedule(delay: number | undefined, work: () => Promise<void>): void {
    clearTimeout(this.#timer);
    if (delay === undefined || this.#closed) return;
    this.#timer = setTimeout(() => void work().catch(() => {}), Math.min(delay, LONGEST_WAIT));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch((error) => {
      if (this.#closed) return;
      // The interface may not match the store, so the next attempt compares everything.
      this.#log(`the interfaces could not be changed: ${(error as Error).message}`);
      this.#schedule(RETRY, () => this.sync());
    });
    return result;
  }

  /** Ends its timer. */
  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}

function peerOf({ publicKey, addresses }: Device): KeptPeer {
  return { publicKey, addresses };
}
