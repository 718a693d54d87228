/**
 * Synchronizes the interfaces with the store: the tunnel of a disabled or expired device or user ends at once.
 *
 * @module
 */

import type { KeeperClient } from "./keeper/client.ts";
import { KeeperError, type KeptPeer } from "./keeper/verbs.ts";
import type { Changed } from "./store/cut_changes.ts";
import { StoredError } from "./stored_error.ts";
import type { Device } from "./store/records.ts";
import type { Records, Store } from "./store/store.ts";

/** Milliseconds until a request to the keeper is repeated if the keeper did not respond. */
const RETRY = 1_000;
/**
 * The longest time in milliseconds until the next search for what has expired. Other processes, such as
 * `wgd web import`, add devices without notice.
 */
const LONGEST_WAIT = 60_000;

/** The peers of all interfaces. Changes are made one after the other, so that none undoes another. */
export class Peers implements AsyncDisposable {
  readonly #store: Store;
  readonly #keeper: KeeperClient;
  readonly #clock: () => number;
  readonly #log: (text: string) => void;
  /** Searches for what has expired. */
  #expiry: ReturnType<typeof setTimeout> | undefined;
  /** Compares everything after a failure. Only a complete `sync` ends it. */
  #retry: ReturnType<typeof setTimeout> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #syncing: Promise<unknown> = Promise.resolve();
  /** How often the keeper or the store has failed. */
  #failures = 0;
  #isSettled = false;
  /** Devices and users that expired until then have been cut off. */
  #expired: number | undefined;
  #closed = false;

  constructor(store: Store, keeper: KeeperClient, clock: () => number, log: (text: string) => void) {
    this.#store = store;
    this.#keeper = keeper;
    this.#clock = clock;
    this.#log = log;
  }

  /** Whether the interfaces have the peers of the store. If not, a comparison runs or will be repeated. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /**
   * Sets the peers of every interface to those of the store. Unchanged peers keep their sessions. This may take a minute,
   * so it is done in slices, between which other changes are made.
   */
  sync(): Promise<void> {
    const result = this.#syncing.then(() => this.#sync());
    this.#syncing = result.catch(() => {});
    return result;
  }

  async #sync(): Promise<void> {
    const failures = this.#failures;
    await this.#inTurn(async () => {
      const now = this.#clock();
      await this.#store.devices.takeCutChanges(now, "anything");
      this.#expired = now;
      await this.#wait(now);
    });
    await forEach(
      await this.#inTurn(() => this.#store.networks.list()),
      ({ id, interface: name }) =>
        setPeers(this.#store, this.#keeper, id, name, (work) => this.#inTurn(work)),
    );
    // A change that failed meanwhile may belong to a slice that was already compared.
    if (failures !== this.#failures) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#isSettled = true;
  }

  /**
   * Removes the peers of devices that may no longer connect, and adds those that may connect again. Must be called
   * after each change of a device, a user or their groups. If the keeper does not respond, everything is compared until
   * it does.
   *
   * @param changed What was changed. What has expired since the last call is found in any case.
   */
  apply(changed: Omit<Changed, "since"> | "anything"): Promise<void> {
    return this.#inTurn(async () => {
      const now = this.#clock();
      // Another process may add a device that expires before its transaction ends, so the last minute is searched again.
      // If the clock was set back, what had expired is valid again.
      const isKnown = this.#expired !== undefined && this.#expired <= now && changed !== "anything";
      const changes = await this.#store.devices.takeCutChanges(
        now,
        isKnown ? { ...changed, since: this.#expired! - LONGEST_WAIT } : "anything",
      );
      this.#expired = now;
      await forEach(Map.groupBy(changes, (change) => change.interface), async ([name, ofInterface]) => {
        const cut = ofInterface.filter((change) => change.cut !== null);
        const back = ofInterface.filter((change) => change.cut === null);
        await this.#keeper.ask("removePeers", {
          interface: name,
          publicKeys: cut.map(({ publicKey }) => publicKey),
        });
        const devices = await Promise.all(back.map(({ id }) => this.#store.devices.find(id)));
        const peers = devices.filter((device) => device !== undefined).map(peerOf);
        await this.#keeper.ask("addPeers", { interface: name, peers });
      });
      await this.#wait(now);
    });
  }

  /**
   * Makes a change in the store, then applies it. A change that fails may have been stored in part, so it is applied too.
   *
   * @param changed What the change may affect, as for `apply`. It is read after the change, which may add to it.
   * @throws {StoredError} If the change is stored, but cannot be applied yet.
   */
  async change<T>(changed: Parameters<Peers["apply"]>[0], work: () => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await work();
    } catch (error) {
      // If this fails too, everything is compared later.
      await this.apply(changed).catch(() => {});
      throw error;
    }
    try {
      await this.apply(changed);
    } catch (error) {
      throw new StoredError(error);
    }
    return result;
  }

  /**
   * Adds the peer of a new device to the interface, unless the device has been removed or cut off meanwhile.
   *
   * @returns Its preshared key; empty if it has none. Undefined if the device was removed meanwhile.
   * @throws {KeeperError} If the interface cannot be changed.
   */
  add(device: Device): Promise<string | undefined> {
    return this.#inTurn(async () => {
      const now = await this.#store.devices.find(device.id);
      // Its peer would stay on the interface.
      if (!now) return undefined;
      const { publicKey, network: { interface: name } } = now;
      if (now.cut === null) await this.#keeper.ask("addPeers", { interface: name, peers: [peerOf(now)] });
      return await this.#keeper.ask("presharedKey", { interface: name, publicKey });
    });
  }

  /**
   * Removes a device. Its peer is removed first, so that no tunnel stays open if the rest fails.
   *
   * @param note Logs it, in the transaction that removes it.
   * @returns Whether it existed.
   * @throws {KeeperError} If the interface cannot be changed; then the device stays.
   */
  remove(
    { id, publicKey, network }: Device,
    note: (records: Records) => Promise<void>,
  ): Promise<boolean> {
    return this.#inTurn(async () => {
      await this.#keeper.ask("removePeers", { interface: network.interface, publicKeys: [publicKey] });
      return await this.#store.transaction(async (records) => {
        if (!await records.devices.remove(id)) return false;
        await note(records);
        return true;
      });
    });
  }

  /**
   * Sets the timer for the next expiry of a device or user.
   *
   * @param applied Everything that expired until then has been applied.
   */
  async #wait(applied: number): Promise<void> {
    const next = await this.#store.devices.nextExpiry(applied) ?? Infinity;
    clearTimeout(this.#expiry);
    if (this.#closed) return;
    this.#expiry = setTimeout(
      () => void this.apply({}).catch(() => {}),
      Math.min(Math.max(0, next - this.#clock()), LONGEST_WAIT),
    );
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#closed) throw new KeeperError("wgd web has ended");
      return work();
    });
    this.#turn = result.catch((error) => {
      if (this.#closed) return;
      this.#log(`the interfaces could not be changed: ${(error as Error).message}`);
      // The interface may not match the store.
      this.#failures++;
      this.#isSettled = false;
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        void this.sync().catch(() => {});
      }, RETRY);
    });
    return result;
  }

  /** Ends its timers, after the current change. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#expiry);
    clearTimeout(this.#retry);
    await this.#syncing;
    await this.#turn;
  }
}

/**
 * Sets the peers of an interface to those of the store, in slices. Other changes made meanwhile stay, because the
 * keeper only removes peers that no request has named since the beginning.
 *
 * @param inTurn Does the work of a slice. No other work of this process runs between the read and the write.
 */
export async function setPeers(
  store: Records,
  keeper: KeeperClient,
  networkId: string,
  name: string,
  inTurn: <T>(work: () => Promise<T>) => Promise<T> = (work) => work(),
): Promise<void> {
  const attempt = await inTurn(() => keeper.ask("beginPeers", { interface: name }));
  for (let after: string | undefined = ""; after !== undefined;) {
    const first: string = after;
    after = await inTurn(() => setSlice(store, keeper, networkId, { name, attempt, after: first }));
    await new Promise((resolve) => setTimeout(resolve));
  }
  await inTurn(() => keeper.ask("endPeers", { interface: name, attempt }));
}

/**
 * Another process, such as `wgd peer`, may change the store and the interface between the read and the write. So the store
 * is read again afterwards, and differences are corrected.
 *
 * @returns The last public key of the slice; undefined if there are no more.
 */
async function setSlice(
  store: Records,
  keeper: KeeperClient,
  networkId: string,
  { name, attempt, after }: { readonly name: string; readonly attempt: number; readonly after: string },
): Promise<string | undefined> {
  let set = await store.devices.admitted(networkId, after);
  const last = set.at(-1)?.publicKey;
  if (last === undefined) return undefined;
  await keeper.ask("keepPeers", { interface: name, attempt, peers: set });
  for (;;) {
    const admitted = await store.devices.admitted(networkId, after, last);
    const [before, now] = [set, admitted].map((peers) => new Set(peers.map(({ publicKey }) => publicKey)));
    const gone = set.filter(({ publicKey }) => !now!.has(publicKey));
    const added = admitted.filter(({ publicKey }) => !before!.has(publicKey));
    if (gone.length + added.length === 0) return last;
    await keeper.ask("removePeers", { interface: name, publicKeys: gone.map(({ publicKey }) => publicKey) });
    await keeper.ask("addPeers", { interface: name, peers: added });
    set = admitted;
  }
}

/** Calls `work` for all items, one after the other, even if it fails for some. @throws The first failure. */
async function forEach<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const item of items) await work(item).catch((error) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

function peerOf({ publicKey, addresses }: Device): KeptPeer {
  return { publicKey, addresses };
}
