/**
 * Synchronizes the interfaces with the store: the tunnel of a disabled or expired device or user ends at once.
 *
 * @module
 */

import type { KeeperClient } from "./keeper/client.ts";
import { DeviceRoutes, setRoutes } from "./device_routes.ts";
import { GrowingPauses } from "./growing_pauses.ts";
import { KeeperError, type KeptPeer } from "./keeper/verbs.ts";
import { PeerComparison } from "./peer_comparison.ts";
import { Retries } from "./retries.ts";
import type { Changed, CutChange } from "./store/cut_changes.ts";
import type { Device, Network } from "./store/records.ts";
import type { Records, Store } from "./store/store.ts";
import { StoredError } from "./stored_error.ts";

/** The name of a comparison of everything. No interface has it. */
const EVERYTHING = "";
/**
 * The longest time in milliseconds until the next search for what has expired. Other processes, such as
 * `wgd web import`, add devices without notice.
 */
const LONGEST_WAIT = 60_000;

/** What a change may affect. */
export interface Affected extends Omit<Changed, "since"> {
  /** Devices with other networks behind them. */
  readonly rerouted?: readonly string[];
}

/** The peers of all interfaces. Changes are made one after the other, so that none undoes another. */
export class Peers implements AsyncDisposable {
  /** The system's routes to networks behind devices. */
  readonly routes = new DeviceRoutes((name) => void this.#setRoutesAgain(name));
  readonly #store: Store;
  readonly #keeper: KeeperClient;
  readonly #clock: () => number;
  readonly #log: (text: string) => void;
  /** Searches for what has expired. */
  #expiry: ReturnType<typeof setTimeout> | undefined;
  /** Interfaces that may not match the store. Only a complete comparison ends a retry. */
  readonly #retries = new Retries((name) => void this.#compareAgain(name).catch(() => {}));
  #turn: Promise<unknown> = Promise.resolve();
  #syncing: Promise<unknown> = Promise.resolve();
  /** What came up and is compared as soon as the comparisons before it have ended. */
  readonly #upcoming = new Set<string>();
  /** Of interfaces that come up. Programs that make one may take it down and up again. */
  readonly #flapping = new GrowingPauses(3);
  /** Devices and users that expired until then have been cut off. */
  #expired: number | undefined;
  #closed = false;

  constructor(store: Store, keeper: KeeperClient, clock: () => number, log: (text: string) => void) {
    this.#store = store;
    this.#keeper = keeper;
    this.#clock = clock;
    this.#log = log;
    this.#retries.begin(EVERYTHING);
  }

  /** Whether the interfaces have the peers of the store. If not, a comparison runs or will be repeated. */
  get isSettled(): boolean {
    return this.#retries.isEmpty;
  }

  /**
   * Sets the peers of every interface to those of the store. Unchanged peers keep their sessions. With 100,000 devices
   * this takes about ten seconds, so it is done in slices, between which other changes are made.
   */
  sync(): Promise<void> {
    return this.#afterOthers(() => this.#sync());
  }

  /**
   * Compares an interface that has come up, because it may have no peers, and its last comparison may have failed. Failures
   * are logged and retried. An interface that comes up again and again is compared with growing pauses.
   *
   * @param name Its name; without it, all may have come up.
   */
  async cameUp(name: string = EVERYTHING): Promise<void> {
    if (this.#upcoming.has(name)) return;
    const now = performance.now();
    const pause = this.#flapping.pause(name, now);
    if (pause > 0) {
      if (this.#retries.plan(name, pause)) this.#flapping.planned(name, now);
      return;
    }
    this.#flapping.planned(name, now);
    this.#retries.renew(name);
    this.#upcoming.add(name);
    await this.#afterOthers(async () => {
      this.#upcoming.delete(name);
      await (name === EVERYTHING ? this.#sync() : this.#compareOne(name));
    }).catch(() => {});
  }

  async #sync(): Promise<void> {
    this.#retries.begin(EVERYTHING);
    const networks = await this.#inTurn(async () => {
      const now = this.#clock();
      await this.#takeCutChanges(now, "anything");
      this.#expired = now;
      await this.#wait(now);
      return await this.#store.networks.list();
    }, () => [EVERYTHING]);
    for (const { interface: name } of networks) this.#retries.begin(name);
    this.#retries.end(EVERYTHING);
    await this.#compare(networks);
  }

  /** Compares what could not be changed. */
  #compareAgain(name: string): Promise<void> {
    return this.#afterOthers(() => name === EVERYTHING ? this.#sync() : this.#compareOne(name));
  }

  async #compareOne(name: string): Promise<void> {
    this.#retries.begin(name);
    const networks = await this.#inTurn(() => this.#store.networks.list(), () => [name]);
    const network = networks.find((one) => one.interface === name);
    if (network) await this.#compare([network]);
    // It was removed, or is not in the store yet.
    else this.#retries.end(name);
  }

  /** Compares some interfaces, at first only to end tunnels. */
  async #compare(networks: readonly Network[]): Promise<void> {
    const sources = { store: this.#store, keeper: this.#keeper };
    const begun: PeerComparison[] = [];
    const failures = await forEach(networks, async (network) => {
      begun.push(
        await PeerComparison.begin(
          sources,
          network,
          (work) => this.#inTurn(work, () => [network.interface]),
        ),
      );
    });
    failures.push(
      ...await forEach(begun, async (comparison) => {
        this.routes.note(comparison.network.interface, await comparison.finish());
        // A change that failed meanwhile may belong to a slice that was already compared. Then it does not end.
        this.#retries.end(comparison.network.interface);
      }),
    );
    throwFirst(failures);
  }

  #afterOthers(work: () => Promise<void>): Promise<void> {
    const result = this.#syncing.then(work);
    this.#syncing = result.catch(() => {});
    return result;
  }

  /**
   * Removes the peers of devices that may no longer connect, and adds those that may connect again. Must be called
   * after each change of a device, a user or their groups. If an interface cannot be changed, it is compared until that
   * succeeds.
   *
   * @param changed What was changed. What has expired since the last call is found in any case.
   */
  apply(changed: Affected | "anything"): Promise<void> {
    // What has not been done yet.
    let suspects = [EVERYTHING];
    return this.#inTurn(async () => {
      const now = this.#clock();
      // Another process may add a device that expires before its transaction ends, so the last minute is searched again.
      // If the clock was set back, what had expired is valid again.
      const isKnown = this.#expired !== undefined && this.#expired <= now && changed !== "anything";
      const changes = await this.#takeCutChanges(
        now,
        isKnown ? { ...changed, since: this.#expired! - LONGEST_WAIT } : "anything",
      );
      this.#expired = now;
      suspects = [];
      const failures = await forEach(
        Map.groupBy(changes, (change) => change.interface),
        async ([name, ofInterface]) => {
          suspects.push(name);
          await this.#applyTo(name, ofInterface);
          suspects.pop();
        },
      );
      const rerouted = changed === "anything" ? [] : changed.rerouted ?? [];
      failures.push(
        ...await forEach(rerouted, async (id) => {
          const device = await this.#store.devices.find(id);
          if (!device) return;
          suspects.push(device.network.interface);
          await this.#reroute(device);
          suspects.pop();
        }),
      );
      suspects.push(EVERYTHING);
      await this.#wait(now);
      suspects.pop();
      throwFirst(failures);
    }, () => suspects);
  }

  /**
   * As `takeCutChanges` of the store. If the store cannot be changed, for example because its disk is full, the tunnels
   * that must end are ended nevertheless.
   */
  async #takeCutChanges(now: number, changed: Changed | "anything"): Promise<CutChange[]> {
    const { devices } = this.#store;
    try {
      return await devices.takeCutChanges(now, changed);
    } catch (error) {
      // The first error is reported, also if the store cannot be read either.
      await this.#cutWithoutStore(now, changed).catch(() => {});
      throw error;
    }
  }

  async #cutWithoutStore(now: number, changed: Changed | "anything"): Promise<void> {
    for await (const cut of this.#store.devices.findCut(now, changed)) {
      await forEach(Map.groupBy(cut, (device) => device.interface), async ([name, ofInterface]) => {
        const publicKeys = ofInterface.map(({ publicKey }) => publicKey);
        await this.#keeper.ask("removePeers", { interface: name, publicKeys });
      });
    }
  }

  async #applyTo(name: string, changes: readonly CutChange[]): Promise<void> {
    const cut = changes.filter((change) => change.cut !== null);
    const back = changes.filter((change) => change.cut === null);
    await this.#keeper.ask("removePeers", {
      interface: name,
      publicKeys: cut.map(({ publicKey }) => publicKey),
    });
    const devices = await Promise.all(back.map(({ id }) => this.#store.devices.find(id)));
    const peers = devices.filter((device) => device !== undefined).map(peerOf);
    await this.#keeper.ask("addPeers", { interface: name, peers });
  }

  async #reroute(device: Device): Promise<void> {
    const { network, cut } = device;
    if (cut === null) {
      await this.#keeper.ask("addPeers", { interface: network.interface, peers: [peerOf(device)] });
    }
    await this.#setRoutes(network);
  }

  async #setRoutes(network: Pick<Network, "id" | "interface">): Promise<void> {
    const sources = { store: this.#store, keeper: this.#keeper };
    this.routes.note(network.interface, await setRoutes(sources, network));
  }

  async #setRoutesAgain(name: string): Promise<void> {
    try {
      await this.#inTurn(async () => {
        const network = (await this.#store.networks.list()).find((one) => one.interface === name);
        if (network) await this.#setRoutes(network);
        else this.routes.note(name, []);
      }, () => []);
    } catch {
      // It was logged.
      this.routes.failed(name);
    }
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
   * @throws {KeeperError} If the interface cannot be changed, or a network behind the device cannot be routed. Then call
   * `gone` when the device is removed again.
   */
  async add(device: Device): Promise<string | undefined> {
    const { publicKey, network: { interface: name } } = device;
    const added = await this.#inTurn(async () => {
      const now = await this.#store.devices.find(device.id);
      // Its peer would stay on the interface.
      if (!now) return undefined;
      // Before its peer, which is not added if there is no route. Nobody adds such a device on purpose.
      if (now.routedNetworks.length > 0) await this.#setRoutes(now.network);
      for (const network of now.routedNetworks) {
        const cause = this.routes.causeOf(name, network);
        if (cause !== undefined) return { refusal: `${network} cannot be routed to ${name}: ${cause}` };
      }
      if (now.cut === null) {
        await this.#keeper.ask("addPeers", { interface: name, peers: [peerOf(now)] });
      }
      return { presharedKey: await this.#keeper.ask("presharedKey", { interface: name, publicKey }) };
    }, () => [name]);
    if (added?.refusal !== undefined) throw new KeeperError(added.refusal);
    return added?.presharedKey;
  }

  /** Removes what is left of the routes of a device that `add` has refused. A failure is logged and repeated. */
  async gone({ network, routedNetworks }: Device): Promise<void> {
    if (routedNetworks.length > 0) await this.#setRoutesAgain(network.interface);
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
      const removed = await this.#store.transaction(async (records) => {
        const device = await records.devices.remove(id);
        if (device) await note(records);
        return device;
      });
      if (removed && removed.routedNetworks.length > 0) {
        // The device is gone in any case.
        await this.#setRoutes(network).catch((error) => {
          this.#log(`routes of ${network.interface} could not be removed: ${error.message}`);
          this.#retries.failed(network.interface);
        });
      }
      return removed !== undefined;
    }, () => [network.interface]);
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

  /** @param suspects If it fails: names of the interfaces that may not match the store then. */
  #inTurn<T>(work: () => Promise<T>, suspects: () => readonly string[]): Promise<T> {
    const result = this.#turn.then(() => {
      if (this.#closed) throw new KeeperError("wgd web has ended");
      return work();
    });
    this.#turn = result.catch((error) => {
      if (this.#closed) return;
      this.#log(`the interfaces could not be changed: ${(error as Error).message}`);
      for (const name of suspects()) this.#retries.failed(name);
    });
    return result;
  }

  /** Ends its timers, after the current change. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#expiry);
    this.#retries[Symbol.dispose]();
    this.routes[Symbol.dispose]();
    await this.#syncing;
    await this.#turn;
  }
}

/** Calls `work` for all items, one after the other, even if it fails for some. @returns The failures. */
async function forEach<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (const item of items) await work(item).catch((error) => failures.push(error));
  return failures;
}

/** @throws The first failure, if there is one. */
function throwFirst(failures: readonly unknown[]): void {
  if (failures.length > 0) throw failures[0];
}

function peerOf({ publicKey, addresses, routedNetworks }: Device): KeptPeer {
  return { publicKey, addresses, ...(routedNetworks.length > 0 && { networks: routedNetworks }) };
}
