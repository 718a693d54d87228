/**
 * The traffic of devices in the store: totals that are kept across restarts, and rows for each minute, hour and day.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { inList, slices } from "./in_list.ts";
import type { Cut } from "./records.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Each kind of row: its length, and how long it is kept. */
const STEPS = {
  minute: { length: MINUTE, kept: 2 * DAY },
  hour: { length: HOUR, kept: 90 * DAY },
  day: { length: DAY, kept: Infinity },
} as const;

/** The name of this machine, if several share a database. */
export const GATEWAY = "local";

/** The kind of a row, by its length. */
export type Step = keyof typeof STEPS;

/** Length of a step in milliseconds. */
export function lengthOf(step: Step): number {
  return STEPS[step].length;
}

/** The counters of an interface for a peer. */
export interface Counted {
  readonly publicKey: string;
  readonly endpoint: string | null;
  /** Milliseconds since 1970; 0 if there was none. */
  readonly lastHandshakeAt: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** The live values of a device. */
export interface LiveRow {
  readonly id: string;
  readonly ownerId: string | null;
  readonly publicKey: string;
  readonly interface: string;
  readonly cut: Cut | null;
  readonly endpoint: string | null;
  readonly lastHandshakeAt: number;
  /** Totals of all time, up to the last record. */
  readonly rxBytes: number;
  readonly txBytes: number;
  /** The interface's counters at that time. */
  readonly rxLast: number;
  readonly txLast: number;
}

/** Traffic whose distribution over a time is not known. */
export interface Gap {
  readonly began: number;
  readonly ended: number;
  readonly rx: number;
  readonly tx: number;
}

/** Counters are recorded each minute. After a longer pause, the increase does not belong to one minute. */
const LONGEST_PAUSE = 1.5 * MINUTE;

/** Rows that are changed at once. */
const SLICE = 1_000;

/** A clock that shows an earlier time was never set. A machine whose clock has no battery starts in 1970. */
const UNSET_BEFORE = Date.UTC(2020, 0, 1);

/** Traffic in the store. */
export class Traffic {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /**
   * Records the counters of an interface. If a counter is lower than before, it belongs to a new interface, so all of
   * it is new. After a pause in which nothing was recorded, the increase is a gap.
   *
   * @param gateway The machine of the interface.
   * @param counted Slices of some thousand peers at most. Other processes wait for the database while one is written, which
   * takes some 20 ms for a thousand.
   * @param since When they were recorded before, if this process did that, by `now` less the time that has passed since.
   * What the clock showed then may be wrong.
   */
  async record(
    networkId: string,
    gateway: string,
    counted: AsyncIterable<readonly Counted[]> | Iterable<readonly Counted[]>,
    now: number,
    since?: number,
  ): Promise<void> {
    const last = since ?? await lastRecord(this.#queries, networkId, gateway);
    for await (const slice of counted) {
      await this.#queries.transaction(async (queries) => {
        const changes = await addUp(queries, networkId, gateway, slice);
        const began = ({ row }: Change) => {
          const at = Math.max(last, Math.min(Number(row.created_at), now));
          // Without a known beginning, it is not spread over decades.
          return at < UNSET_BEFORE && now >= UNSET_BEFORE ? now : at;
        };
        const isGap = (change: Change) => now - began(change) > LONGEST_PAUSE;
        await writeRows(queries, changes.filter((change) => !isGap(change)), now);
        await writeGaps(queries, changes.filter(isGap), began, now);
      });
      await new Promise((resolve) => setTimeout(resolve));
    }
    // The network may have been removed meanwhile. The time of a clock that is not set does not replace one that is known.
    await this.#queries.run(
      `INSERT INTO recordings (network_id, gateway, recorded_at) SELECT id, ?, ? FROM networks WHERE id = ?
        ON CONFLICT (network_id, gateway) DO UPDATE SET recorded_at = excluded.recorded_at
        WHERE excluded.recorded_at >= ${UNSET_BEFORE} OR recordings.recorded_at < ${UNSET_BEFORE}`,
      gateway,
      now,
      networkId,
    );
  }

  /**
   * Records the counters of an interface that was just imported. They are added to the totals, but not to the history,
   * since the time of that traffic is unknown.
   */
  async adopt(networkId: string, gateway: string, counted: readonly Counted[]): Promise<void> {
    for (const slice of slices(counted, SLICE)) {
      await this.#queries.transaction((queries) => addUp(queries, networkId, gateway, slice));
    }
  }

  /** Removes rows that are older than their kind is kept. */
  async prune(now: number): Promise<void> {
    for (const [step, { kept }] of Object.entries(STEPS)) {
      if (kept === Infinity) continue;
      await this.#queries.run(`DELETE FROM traffic_${step} WHERE time < ?`, now - kept);
    }
  }

  /** Rows of a device since a time, oldest first. There is no row for a step without traffic. */
  async rows(
    deviceId: string,
    step: Step,
    since: number,
  ): Promise<{ time: number; rx: number; tx: number }[]> {
    const rows = await this.#queries.all(
      `SELECT time, rx, tx FROM traffic_${step} WHERE device_id = ? AND time >= ? ORDER BY time`,
      deviceId,
      since,
    );
    return rows.map(({ time, rx, tx }) => ({ time: Number(time), rx: Number(rx), tx: Number(tx) }));
  }

  /** The gaps of a device that ended after a time. They are kept for ever. */
  async gaps(deviceId: string, since: number): Promise<Gap[]> {
    const rows = await this.#queries.all(
      "SELECT began_at, ended_at, rx, tx FROM traffic_gaps WHERE device_id = ? AND ended_at > ? ORDER BY ended_at",
      deviceId,
      since,
    );
    return rows.map(({ began_at, ended_at, rx, tx }) => ({
      began: Number(began_at),
      ended: Number(ended_at),
      rx: Number(rx),
      tx: Number(tx),
    }));
  }

  /** The live values of devices, by their identifiers. */
  async live(ids: readonly string[], gateway: string): Promise<LiveRow[]> {
    if (ids.length === 0) return [];
    const list = inList(ids);
    const rows = await this.#queries.all(
      `SELECT d.id, d.user_id, d.public_key, d.cut, d.endpoint, d.last_handshake_at, d.rx_bytes, d.tx_bytes,
        n.interface, c.rx_last, c.tx_last FROM devices d JOIN networks n ON n.id = d.network_id
        LEFT JOIN counters c ON c.device_id = d.id AND c.gateway = ? WHERE d.id IN ${list.sql}`,
      gateway,
      ...list.values,
    );
    return rows.map((row) => ({
      id: String(row.id),
      ownerId: row.user_id === null ? null : String(row.user_id),
      publicKey: String(row.public_key),
      interface: String(row.interface),
      cut: row.cut as Cut | null,
      endpoint: row.endpoint as string | null,
      lastHandshakeAt: Number(row.last_handshake_at),
      rxBytes: Number(row.rx_bytes),
      txBytes: Number(row.tx_bytes),
      rxLast: Number(row.rx_last ?? 0),
      txLast: Number(row.tx_last ?? 0),
    }));
  }
}

/** The traffic since the last record. */
export function increase(now: number, last: number): number {
  return now < last ? now : now - last;
}

/** The bytes that a device has sent and received since the last record. */
interface Change {
  readonly id: string;
  readonly row: Row;
  readonly one: Counted;
  readonly rx: number;
  readonly tx: number;
}

/** Updates the totals. @returns The increase. */
async function addUp(
  queries: Queries,
  networkId: string,
  gateway: string,
  counted: readonly Counted[],
): Promise<Change[]> {
  const keys = inList(counted.map(({ publicKey }) => publicKey));
  const known = await queries.all(
    `SELECT d.id, d.public_key, d.created_at, c.rx_total, c.tx_total, c.rx_last, c.tx_last FROM devices d
      LEFT JOIN counters c ON c.device_id = d.id AND c.gateway = ?
      WHERE d.network_id = ? AND d.public_key IN ${keys.sql}`,
    gateway,
    networkId,
    ...keys.values,
  );
  const byKey = new Map(known.map((row) => [String(row.public_key), row]));
  const changes = counted.flatMap((one) => {
    const row = byKey.get(one.publicKey);
    return row ? [changeOf(row, one)] : [];
  });
  await queries.runMany(
    `INSERT INTO counters (device_id, gateway, rx_total, tx_total, rx_last, tx_last) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (device_id, gateway) DO UPDATE SET rx_total = excluded.rx_total, tx_total = excluded.tx_total,
      rx_last = excluded.rx_last, tx_last = excluded.tx_last`,
    changes.map(({ id, row, rx, tx, one }) => [
      id,
      gateway,
      Number(row.rx_total ?? 0) + rx,
      Number(row.tx_total ?? 0) + tx,
      one.rxBytes,
      one.txBytes,
    ]),
  );
  await queries.runMany(
    `UPDATE devices SET last_handshake_at = ?, endpoint = ?, rx_bytes = rx_bytes + ?, tx_bytes = tx_bytes + ?
      WHERE id = ?`,
    changes.map(({ id, rx, tx, one }) => [one.lastHandshakeAt, one.endpoint, rx, tx, id]),
  );
  await queries.run(
    "UPDATE networks SET rx_bytes = rx_bytes + ?, tx_bytes = tx_bytes + ? WHERE id = ?",
    changes.reduce((sum, { rx }) => sum + rx, 0),
    changes.reduce((sum, { tx }) => sum + tx, 0),
    networkId,
  );
  return changes;
}

async function writeRows(queries: Queries, changes: readonly Change[], now: number): Promise<void> {
  const moved = changes.filter(({ rx, tx }) => rx + tx > 0);
  for (const [step, { length }] of Object.entries(STEPS)) {
    const table = `traffic_${step}`;
    await queries.runMany(
      `INSERT INTO ${table} (device_id, time, rx, tx) VALUES (?, ?, ?, ?) ON CONFLICT (device_id, time)
        DO UPDATE SET rx = ${table}.rx + excluded.rx, tx = ${table}.tx + excluded.tx`,
      moved.map(({ id, rx, tx }) => [id, Math.floor(now / length) * length, rx, tx]),
    );
  }
}

async function writeGaps(
  queries: Queries,
  changes: readonly Change[],
  began: (change: Change) => number,
  now: number,
): Promise<void> {
  await queries.runMany(
    `INSERT INTO traffic_gaps (device_id, began_at, ended_at, rx, tx) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (device_id, ended_at) DO UPDATE SET rx = traffic_gaps.rx + excluded.rx, tx = traffic_gaps.tx + excluded.tx`,
    changes.filter(({ rx, tx }) => rx + tx > 0).map((
      change,
    ) => [change.id, began(change), now, change.rx, change.tx]),
  );
}

/** When the counters of a network were last recorded; when it was made, if they never were. */
async function lastRecord(queries: Queries, networkId: string, gateway: string): Promise<number> {
  const row = await queries.get(
    `SELECT coalesce(r.recorded_at, n.created_at) AS at FROM networks n
      LEFT JOIN recordings r ON r.network_id = n.id AND r.gateway = ? WHERE n.id = ?`,
    gateway,
    networkId,
  );
  return Number(row?.at ?? 0);
}

function changeOf(row: Row, one: Counted): Change {
  return {
    id: String(row.id),
    row,
    one,
    rx: increase(one.rxBytes, Number(row.rx_last ?? 0)),
    tx: increase(one.txBytes, Number(row.tx_last ?? 0)),
  };
}
