/**
 * Reads the interfaces' counters: once a minute for the history, and every second for the devices that somebody is
 * watching.
 *
 * @module
 */

import type { KeeperClient } from "../keeper/client.ts";
import { KeeperError, type PeerCounters, type Strangers } from "../keeper/verbs.ts";
import { ONLINE_FOR } from "../store/device_state.ts";
import type { Cut, Device, Network } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { GATEWAY, increase, type LiveRow } from "../store/traffic.ts";
import { countersOf } from "./counters.ts";
import type { Facts } from "./reasons.ts";

/** Milliseconds between two records of the history. */
export const RECORD_EVERY = 60_000;
/** Milliseconds between two readings of watched devices. */
const WATCH_EVERY = 1_000;
/** A slow reading is repeated less often, so that readings take a fiftieth of the time. */
const SHARE = 50;
/** Old records are deleted after this many new ones. */
const PRUNE_EVERY = 60;

/** The current state of a device. */
export interface LiveDevice {
  readonly id: string;
  readonly cut: Cut | null;
  /** Bytes a second that the server receives from the device. */
  readonly rxRate: number;
  readonly txRate: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  /** Milliseconds since 1970; 0 if there was none. */
  readonly lastHandshakeAt: number;
  readonly endpoint: string | null;
}

/** Devices that somebody is watching. */
export interface Watcher {
  readonly ids: readonly string[];
  /** Only those of this user are shown; undefined for all. */
  readonly ownerId: string | undefined;
  readonly show: (devices: readonly LiveDevice[]) => void;
}

/** The facts of an interface about a device. */
export type DeviceFacts = Pick<Facts, "counters" | "rxLast" | "unknownKeyAt" | "wrongServerKeyAt">;

interface Reading {
  readonly at: number;
  readonly counters: PeerCounters;
}

interface StrangeCalls {
  readonly counted: Strangers;
  readonly unknownKeyAt: number;
  readonly wrongServerKeyAt: number;
}

/** What the sampler needs. */
export interface Sources {
  readonly store: Store;
  readonly keeper: KeeperClient;
  readonly clock: () => number;
  /** Milliseconds of a clock that is never set. @default performance.now */
  readonly steady?: () => number;
  readonly log: (text: string) => void;
}

/** Reads the counters. */
export class Sampler implements Disposable {
  readonly #sources: Sources;
  readonly #watchers = new Set<Watcher>();
  /** The last reading of each watched peer, by interface and public key. */
  #readings = new Map<string, Reading>();
  /** The number of handshakes of strangers at an interface, and when it last increased. */
  readonly #strangers = new Map<string, StrangeCalls>();
  #recordTimer: ReturnType<typeof setTimeout> | undefined;
  #watchTimer: ReturnType<typeof setTimeout> | undefined;
  /** When the history of each network was last recorded, by both clocks. */
  readonly #lastRecords = new Map<string, { readonly at: number; readonly steady: number }>();
  /** Interfaces whose counters could not be read the last time. That is logged once. */
  readonly #unreadable = new Set<string>();
  #records = 0;
  #looking = false;
  #closed = false;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Begins to record the history. */
  start(): void {
    this.#scheduleRecord(0);
  }

  /** Reports devices until the signal is aborted, the first time at once. */
  watch(watcher: Watcher, signal: AbortSignal): void {
    if (signal.aborted || this.#closed) return;
    this.#watchers.add(watcher);
    signal.addEventListener("abort", () => this.#watchers.delete(watcher), { once: true });
    clearTimeout(this.#watchTimer);
    void this.#look();
  }

  /** Returns the facts of the interface about a device that does not connect. */
  async facts(device: Device): Promise<DeviceFacts> {
    const { store, keeper } = this.#sources;
    const { interface: name } = device.network;
    const [row] = await store.traffic.live([device.id], GATEWAY);
    const calls = this.#strangers.get(name);
    const known = {
      rxLast: row?.rxLast ?? 0,
      unknownKeyAt: calls?.unknownKeyAt ?? 0,
      wrongServerKeyAt: calls?.wrongServerKeyAt ?? 0,
    };
    try {
      await this.#noteStrangers(name);
      const publicKeys = [device.publicKey];
      const { peers: [counters] } = await keeper.ask("counters", { interface: name, since: 0, publicKeys });
      return { ...known, ...this.#strangers.get(name), counters };
    } catch (error) {
      if (!(error instanceof KeeperError)) throw error;
      return { ...known, counters: null };
    }
  }

  /** Checks whether strangers have sent handshakes to an interface since the last call. */
  async #noteStrangers(name: string): Promise<void> {
    const { keeper, clock } = this.#sources;
    const counted = await keeper.ask("strangers", { interface: name });
    if (!counted) return;
    const before = this.#strangers.get(name);
    const now = clock();
    const at = (field: keyof Strangers, last = 0) =>
      before && counted[field] > before.counted[field] ? now : last;
    this.#strangers.set(name, {
      counted,
      unknownKeyAt: at("unknownKey", before?.unknownKeyAt),
      wrongServerKeyAt: at("wrongServerKey", before?.wrongServerKeyAt),
    });
  }

  /** Reads all interfaces and records the traffic of peers since the last time. */
  async record(): Promise<void> {
    const { store, clock } = this.#sources;
    const now = clock();
    for (const network of await store.networks.list()) {
      await this.#ifReadable(network.interface, () => this.#recordOf(network, now));
    }
    if (this.#records++ % PRUNE_EVERY === 0) await store.traffic.prune(now);
  }

  async #recordOf({ id, interface: name }: Network, now: number): Promise<void> {
    const { store, keeper, steady = () => performance.now() } = this.#sources;
    const last = this.#lastRecords.get(id);
    // A peer that sent or received since then has had a handshake within the lifetime of a session before.
    const since = last === undefined ? 0 : Math.max(0, last.at - ONLINE_FOR - RECORD_EVERY);
    const reading = { at: now, steady: steady() };
    const before = last && now - (reading.steady - last.steady);
    await store.traffic.record(
      id,
      GATEWAY,
      usedOf(countersOf(keeper, { interface: name, since })),
      now,
      before,
    );
    this.#lastRecords.set(id, reading);
    await this.#noteStrangers(name);
  }

  /** An interface that cannot be read, such as one that is down, does not keep others from being read. */
  async #ifReadable(name: string, read: () => Promise<void>): Promise<void> {
    try {
      await read();
      this.#unreadable.delete(name);
    } catch (error) {
      if (!(error instanceof KeeperError)) throw error;
      if (this.#closed || this.#unreadable.has(name)) return;
      this.#unreadable.add(name);
      this.#sources.log(`the counters of ${name} cannot be read: ${error.message}`);
    }
  }

  #scheduleRecord(delay: number): void {
    if (this.#closed) return;
    this.#recordTimer = setTimeout(async () => {
      try {
        await this.record();
      } catch (error) {
        if (!this.#closed) this.#sources.log(`counters cannot be read: ${(error as Error).message}`);
      }
      this.#scheduleRecord(RECORD_EVERY - this.#sources.clock() % RECORD_EVERY);
    }, delay);
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#closed || this.#watchers.size === 0) return;
    this.#looking = true;
    const started = performance.now();
    try {
      await this.#showAll();
    } catch (error) {
      if (!this.#closed) this.#sources.log(`counters cannot be read: ${(error as Error).message}`);
    } finally {
      this.#looking = false;
    }
    if (this.#closed || this.#watchers.size === 0) {
      this.#readings.clear();
      return;
    }
    const pause = Math.max(WATCH_EVERY, (performance.now() - started) * SHARE);
    this.#watchTimer = setTimeout(() => void this.#look(), pause);
  }

  async #showAll(): Promise<void> {
    const { store, clock } = this.#sources;
    const watchers = [...this.#watchers];
    const ids = [...new Set(watchers.flatMap(({ ids }) => ids))];
    const rows = await store.traffic.live(ids, GATEWAY);
    const before = this.#readings;
    this.#readings = await this.#readAll(rows);
    const now = clock();
    const devices = new Map(rows.map((row) => [row.id, { row, live: this.#liveDevice(row, before, now) }]));
    for (const { ids, ownerId, show } of watchers) {
      show(ids.flatMap((id) => {
        const found = devices.get(id);
        return found && (ownerId === undefined || found.row.ownerId === ownerId) ? [found.live] : [];
      }));
    }
  }

  async #readAll(rows: readonly LiveRow[]): Promise<Map<string, Reading>> {
    const { keeper, clock } = this.#sources;
    const readings = new Map<string, Reading>();
    const connectable = rows.filter(({ cut }) => cut === null);
    for (const [name, ofInterface] of Map.groupBy(connectable, (row) => row.interface)) {
      await this.#ifReadable(name, async () => {
        const publicKeys = ofInterface.map(({ publicKey }) => publicKey);
        for await (const slice of countersOf(keeper, { interface: name, since: 0, publicKeys })) {
          const at = clock();
          for (const counters of slice) readings.set(`${name} ${counters.publicKey}`, { at, counters });
        }
      });
    }
    return readings;
  }

  #liveDevice(row: LiveRow, before: ReadonlyMap<string, Reading>, now: number): LiveDevice {
    const { id, cut } = row;
    const key = `${row.interface} ${row.publicKey}`;
    const reading = this.#readings.get(key);
    if (!reading) return { ...row, rxRate: 0, txRate: 0 };
    const { counters, at } = reading;
    const last = before.get(key);
    const seconds = last ? (at - last.at) / 1_000 : 0;
    // After a long pause, a rate would be that of minutes ago.
    const known = last !== undefined && seconds > 0 && now - last.at < WATCH_EVERY * SHARE;
    const rate = (field: "rxBytes" | "txBytes") =>
      known ? increase(counters[field], last.counters[field]) / seconds : 0;
    return {
      id,
      cut,
      rxRate: rate("rxBytes"),
      txRate: rate("txBytes"),
      rxBytes: row.rxBytes + increase(counters.rxBytes, row.rxLast),
      txBytes: row.txBytes + increase(counters.txBytes, row.txLast),
      lastHandshakeAt: Math.max(counters.lastHandshakeAt, row.lastHandshakeAt),
      endpoint: counters.endpoint ?? row.endpoint,
    };
  }

  /** Stops its timers. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#watchers.clear();
    clearTimeout(this.#recordTimer);
    clearTimeout(this.#watchTimer);
  }
}

/** Those of which anything was received or sent. */
async function* usedOf(
  slices: AsyncIterable<readonly PeerCounters[]>,
): AsyncGenerator<readonly PeerCounters[], void> {
  for await (const slice of slices) yield slice.filter(({ rxBytes, txBytes }) => rxBytes + txBytes > 0);
}
