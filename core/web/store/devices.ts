/**
 * Devices in the store.
 *
 * @module
 */

import {
  type Changed,
  type CutChange,
  type CutDevice,
  findCut,
  nextExpiry,
  TABLES,
  takeCutChanges,
} from "./cut_changes.ts";
import type { Queries, Row } from "./database.ts";
import { listIds } from "./device_list.ts";
import { ONLINE_FOR } from "./device_state.ts";
import { TakenError } from "./errors.ts";
import { newId } from "./ids.ts";
import { inList } from "./in_list.ts";
import { giveAddresses, keepAddresses } from "./networks.ts";
import { listOf, requireFreeNetworks, routedNetworksOf } from "./routed_networks.ts";
import type { Cut, Device, DeviceChange, DeviceQuery, DeviceState, NewDevice, Page } from "./records.ts";

const COLUMNS = `d.id, d.name, d.public_key, d.disabled_at, d.reason, d.expires_at, d.cut, d.created_at,
  d.last_handshake_at, d.endpoint, d.rx_bytes, d.tx_bytes, d.routed_networks, n.id AS network_id, n.name AS network_name,
  n.interface, u.id AS user_id, u.name AS user_name`;
/** Peers that are read at once. Between two slices, other requests are answered. */
const SLICE = 1_000;

/** The totals of a network's devices. */
export interface NetworkSummary {
  /** Its name. */
  readonly network: string;
  readonly states: Readonly<Record<DeviceState, number>>;
  /** Including devices that were removed. */
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** Devices in the store. */
export class Devices {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** The device with an identifier. */
  async find(id: string): Promise<Device | undefined> {
    const row = await this.#queries.get(`SELECT ${COLUMNS} FROM ${TABLES} WHERE d.id = ?`, id);
    return row && (await withAddresses(this.#queries, [row]))[0];
  }

  /**
   * Adds a device and gives it its addresses.
   *
   * @throws {TakenError} If the network already has the public key, or another device a network behind it.
   * @throws {NetworkFullError} If no address is left.
   */
  async add(added: NewDevice, now: number): Promise<Device> {
    const id = newId();
    await this.#queries.transaction((queries) => insert(queries, id, added, now));
    return (await this.find(id))!;
  }

  /**
   * Changes a device. `takeCutChanges` then finds the changes of its peer.
   *
   * @throws {TakenError} If a network behind it overlaps another one.
   */
  async change(id: string, change: DeviceChange): Promise<Device | undefined> {
    await this.#queries.transaction(async (queries) => {
      const row = await queries.get("SELECT * FROM devices WHERE id = ?", id);
      if (!row) return;
      if (change.routedNetworks) await requireFreeNetworks(queries, id, change.routedNetworks);
      await queries.run(
        `UPDATE devices SET name = ?, disabled_at = ?, reason = ?, expires_at = ?, user_id = ?, routed_networks = ?
          WHERE id = ?`,
        change.name ?? row.name!,
        change.disabledAt === undefined ? row.disabled_at! : change.disabledAt,
        change.reason === undefined ? row.reason! : change.reason,
        change.expiresAt === undefined ? row.expires_at! : change.expiresAt,
        change.ownerId === undefined ? row.user_id! : change.ownerId,
        change.routedNetworks === undefined ? row.routed_networks! : JSON.stringify(change.routedNetworks),
        id,
      );
      await writeSearch(queries, id);
    });
    return await this.find(id);
  }

  /** Removes a device and frees its addresses. @returns The removed device. */
  async remove(id: string): Promise<Device | undefined> {
    const device = await this.find(id);
    if (device) await this.#queries.run("DELETE FROM devices WHERE id = ?", id);
    return device;
  }

  /** A page of the list. */
  async list(query: DeviceQuery, now: number): Promise<Page<Device>> {
    const { ids, next, total } = await listIds(this.#queries, query, now);
    return { items: await this.#findAll(ids), next, total };
  }

  /** Devices of a network with a name, or with a public key. */
  async called(networkId: string, nameOrKey: string): Promise<Device[]> {
    const rows = await this.#queries.all(
      `SELECT id FROM devices WHERE network_id = ? AND public_key = ?
        UNION SELECT id FROM devices WHERE (network_id || '') = ? AND name = ?`,
      networkId,
      nameOrKey,
      networkId,
      nameOrKey,
    );
    return await this.#findAll(rows.map(({ id }) => String(id)));
  }

  /** Those of the given devices that exist, in the same order. */
  async #findAll(ids: readonly string[]): Promise<Device[]> {
    if (ids.length === 0) return [];
    const list = inList(ids);
    const rows = await this.#queries.all(
      `SELECT ${COLUMNS} FROM ${TABLES} WHERE d.id IN ${list.sql}`,
      ...list.values,
    );
    const devices = new Map(
      (await withAddresses(this.#queries, rows)).map((device) => [device.id, device]),
    );
    return ids.map((id) => devices.get(id)).filter((device) => device !== undefined);
  }

  /**
   * Devices of a network that may connect: a slice of a thousand for its interface, in the order of public keys.
   *
   * @param after The last public key of the slice before.
   * @param until The last public key of this slice, if it has been read before.
   * @returns An empty list if there are no more.
   */
  async admitted(
    networkId: string,
    after: string,
    until?: string,
  ): Promise<{ publicKey: string; addresses: string[]; networks?: string[] }[]> {
    // The expression prevents SQLite from using an index of `cut`, which has another order.
    const rows = await this.#queries.all(
      `SELECT d.public_key, d.routed_networks, a.ip FROM (SELECT id, public_key, routed_networks FROM devices
          WHERE network_id = ?
          AND (cut || '') IS NULL AND public_key > ? ${
        until === undefined ? `ORDER BY public_key LIMIT ${SLICE}` : "AND public_key <= ?"
      }) d
        LEFT JOIN addresses a ON a.device_id = d.id ORDER BY d.public_key`,
      networkId,
      after,
      ...until === undefined ? [] : [until],
    );
    return [...Map.groupBy(rows, (row) => String(row.public_key))].map(([publicKey, rows]) => ({
      publicKey,
      // The router of a site may have no address.
      addresses: rows.filter(({ ip }) => ip !== null).map(({ ip }) => String(ip)),
      ...(rows[0]!.routed_networks !== "[]" && { networks: listOf(rows[0]!) }),
    }));
  }

  /**
   * Those of a thousand devices of a network that may not connect.
   *
   * @param after The last public key of the thousand before.
   * @returns Without `last` if there are no more devices.
   */
  async cutOff(networkId: string, after: string): Promise<{ publicKeys: string[]; last?: string }> {
    const rows = await this.#queries.all(
      `SELECT public_key, cut FROM devices WHERE network_id = ? AND public_key > ? ORDER BY public_key LIMIT ${SLICE}`,
      networkId,
      after,
    );
    const last = rows.at(-1)?.public_key;
    return {
      publicKeys: rows.filter(({ cut }) => cut !== null).map((row) => String(row.public_key)),
      ...(last !== undefined && { last: String(last) }),
    };
  }

  /** All networks behind devices of a network, also of those that are cut off. */
  async routedNetworks(networkId: string): Promise<string[]> {
    return await routedNetworksOf(this.#queries, networkId);
  }

  /** Finds the devices whose peers must be added or removed now, and stores their new state. */
  async takeCutChanges(now: number, changed: Changed | "anything" = "anything"): Promise<CutChange[]> {
    return await takeCutChanges(this.#queries, now, changed);
  }

  /** Finds the devices that must be cut off by now, also those that are, in slices. It only reads. */
  findCut(now: number, changed: Changed | "anything"): AsyncGenerator<CutDevice[]> {
    return findCut(this.#queries, now, changed);
  }

  /** When the next device or user expires; undefined if none does. */
  async nextExpiry(now: number): Promise<number | undefined> {
    return await nextExpiry(this.#queries, now);
  }

  /** The totals of each network's devices. */
  async summaries(now: number): Promise<NetworkSummary[]> {
    const count = (state: string) =>
      `(SELECT count(*) FROM devices d WHERE d.network_id = n.id AND ${state})`;
    const rows = await this.#queries.all(
      `SELECT n.name, n.rx_bytes AS rx, n.tx_bytes AS tx, ${count("1 = 1")} AS devices,
        ${count("d.cut IN ('expired', 'user-expired')")} AS expired,
        ${count("d.cut IN ('disabled', 'user-disabled', 'no-access')")} AS disabled,
        ${count("d.cut IS NULL AND d.last_handshake_at = 0")} AS never,
        ${count("d.cut IS NULL AND d.last_handshake_at > ?")} AS online
        FROM networks n ORDER BY n.name`,
      now - ONLINE_FOR,
    );
    return rows.map((row) => {
      const [online, never, expired, disabled] = [row.online, row.never, row.expired, row.disabled].map(
        Number,
      );
      const idle = Number(row.devices) - online! - never! - expired! - disabled!;
      return {
        network: String(row.name),
        states: { online: online!, idle, never: never!, expired: expired!, disabled: disabled! },
        rxBytes: Number(row.rx),
        txBytes: Number(row.tx),
      };
    });
  }

  /** The number of devices that a user has. */
  async countOf(userId: string): Promise<number> {
    const row = await this.#queries.get("SELECT count(*) AS n FROM devices WHERE user_id = ?", userId);
    return Number(row!.n);
  }
}

async function insert(queries: Queries, id: string, added: NewDevice, now: number): Promise<void> {
  const { routedNetworks = [] } = added;
  await requireFreeNetworks(queries, id, routedNetworks);
  const rows = await queries.run(
    `INSERT INTO devices (id, network_id, user_id, name, public_key, expires_at, routed_networks, search, created_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, '', ?) ON CONFLICT (network_id, public_key) DO NOTHING`,
    id,
    added.networkId,
    added.ownerId ?? null,
    added.name,
    added.publicKey,
    added.expiresAt ?? null,
    JSON.stringify(routedNetworks),
    now,
  );
  if (rows === 0) throw new TakenError("a device of this network already has this public key", "publicKey");
  if (added.addresses) await keepAddresses(queries, added.networkId, id, added.addresses);
  else await giveAddresses(queries, added.networkId, id);
  await writeSearch(queries, id);
}

/** Updates the column that a search uses, so that it does not need other columns. */
async function writeSearch(queries: Queries, id: string): Promise<void> {
  const row = await queries.get(
    `SELECT d.name, d.public_key, d.routed_networks, u.name AS user_name FROM ${TABLES} WHERE d.id = ?`,
    id,
  );
  const addresses = await queries.all("SELECT ip FROM addresses WHERE device_id = ?", id);
  const words = [
    row!.name,
    row!.user_name,
    row!.public_key,
    ...addresses.map(({ ip }) => ip),
    ...listOf(row!),
  ];
  await queries.run(
    "UPDATE devices SET search = ? WHERE id = ?",
    words.filter((word) => word !== null).join("\n").toLowerCase(),
    id,
  );
}

async function withAddresses(queries: Queries, rows: readonly Row[]): Promise<Device[]> {
  if (rows.length === 0) return [];
  const list = inList(rows.map(({ id }) => id!));
  const found = await queries.all(
    `SELECT device_id, ip FROM addresses WHERE device_id IN ${list.sql} ORDER BY subnet`,
    ...list.values,
  );
  const addresses = Map.groupBy(found, (row) => String(row.device_id));
  return rows.map((row) => ({
    id: String(row.id),
    network: {
      id: String(row.network_id),
      name: String(row.network_name),
      interface: String(row.interface),
    },
    name: String(row.name),
    owner: row.user_id === null ? null : { id: String(row.user_id), name: String(row.user_name) },
    publicKey: String(row.public_key),
    addresses: (addresses.get(String(row.id)) ?? []).map(({ ip }) => String(ip)),
    routedNetworks: listOf(row),
    disabledAt: row.disabled_at as number | null,
    reason: row.reason as string | null,
    expiresAt: row.expires_at as number | null,
    cut: row.cut as Cut | null,
    createdAt: Number(row.created_at),
    lastHandshakeAt: Number(row.last_handshake_at),
    endpoint: row.endpoint as string | null,
    rxBytes: Number(row.rx_bytes),
    txBytes: Number(row.tx_bytes),
  }));
}
