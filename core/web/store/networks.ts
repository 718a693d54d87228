/**
 * Networks and their addresses in the store.
 *
 * @module
 */

import type { Queries, Row, Value } from "./database.ts";
import { NetworkFullError, TakenError } from "./errors.ts";
import { newId } from "./ids.ts";
import { parseAddress } from "../../config/address.ts";
import { formatHost, hostOf, lastHost, readSubnet } from "./subnet.ts";
import type { Network, NetworkChange } from "./records.ts";
import { requireUnrouted } from "./routed_networks.ts";

/** Networks in the store. */
export class Networks {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** All networks, by name. */
  async list(): Promise<Network[]> {
    return (await this.#queries.all("SELECT * FROM networks ORDER BY name")).map(network);
  }

  /** A network, by its identifier or its name. */
  async find(idOrName: string): Promise<Network | undefined> {
    const row = await this.#queries.get(
      "SELECT * FROM networks WHERE id = ? OR name = ?",
      idOrName,
      idOrName,
    );
    return row && network(row);
  }

  /**
   * Adds a network. Its own addresses are marked as used.
   *
   * @throws {TakenError} If another network has the name or the interface, or a device routes some of its addresses.
   */
  async add(added: Omit<Network, "id" | "createdAt">, now: number): Promise<Network> {
    const made: Network = { ...added, id: newId(), createdAt: now };
    await this.#queries.transaction(async (queries) => {
      await requireFree(queries, made);
      await requireUnrouted(queries, made.addresses);
      await queries.run(
        `INSERT INTO networks (id, name, interface, addresses, endpoint, dns, allowed_ips, mtu, keepalive, public_key,
          listen_port, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        made.id,
        made.name,
        made.interface,
        JSON.stringify(made.addresses),
        made.endpoint,
        JSON.stringify(made.dns),
        JSON.stringify(made.allowedIps),
        made.mtu,
        made.keepalive,
        made.publicKey,
        made.listenPort,
        now,
      );
      for (const address of made.addresses) {
        const { subnet, host } = readSubnet(address);
        await queries.run(
          "INSERT INTO pools (network_id, subnet, next_host) VALUES (?, ?, 1)",
          made.id,
          subnet,
        );
        await take(queries, made.id, subnet, host, null);
      }
    });
    return made;
  }

  /** @throws {TakenError} If another has the name. */
  async change(id: string, change: NetworkChange): Promise<Network | undefined> {
    return await this.#queries.transaction(async (queries) => {
      const row = await queries.get("SELECT * FROM networks WHERE id = ?", id);
      if (!row) return undefined;
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      const changed: Network = { ...network(row), ...given };
      await requireFree(queries, changed);
      await queries.run(
        "UPDATE networks SET name = ?, endpoint = ?, dns = ?, allowed_ips = ?, mtu = ?, keepalive = ? WHERE id = ?",
        changed.name,
        changed.endpoint,
        JSON.stringify(changed.dns),
        JSON.stringify(changed.allowedIps),
        changed.mtu,
        changed.keepalive,
        id,
      );
      return changed;
    });
  }

  /** Stores a new key of the interface. All devices then need a new configuration. */
  async setPublicKey(id: string, publicKey: string): Promise<void> {
    await this.#queries.run("UPDATE networks SET public_key = ? WHERE id = ?", publicKey, id);
  }

  /** Removes a network with its devices. @returns Whether it existed. */
  async remove(id: string): Promise<boolean> {
    return await this.#queries.run("DELETE FROM networks WHERE id = ?", id) > 0;
  }

  /** The number of devices of a network. */
  async countDevices(id: string): Promise<number> {
    const row = await this.#queries.get("SELECT count(*) AS n FROM devices WHERE network_id = ?", id);
    return Number(row?.n ?? 0);
  }
}

async function requireFree(queries: Queries, { id, name, interface: interfaceName }: Network): Promise<void> {
  const other = await queries.get(
    "SELECT name FROM networks WHERE id <> ? AND (name = ? OR interface = ?)",
    id,
    name,
    interfaceName,
  );
  if (!other) return;
  if (other.name === name) throw new TakenError(`a network named "${name}" already exists`, "name");
  throw new TakenError(`another network has the interface ${interfaceName}`, "interface");
}

/**
 * Gives a device one free address in each subnet of its network. The search begins after the address that was assigned
 * last, so an address that was freed is not assigned again at once.
 *
 * @throws {NetworkFullError} If a subnet has no free address.
 */
export async function giveAddresses(queries: Queries, networkId: string, deviceId: string): Promise<void> {
  const pools = await queries.all("SELECT subnet, next_host FROM pools WHERE network_id = ?", networkId);
  for (const pool of pools) {
    await giveAddress(queries, networkId, deviceId, String(pool.subnet), Number(pool.next_host));
  }
}

/**
 * Assigns given addresses to a device.
 *
 * @throws {TakenError} If the network does not have one of them, or another device has it.
 */
export async function keepAddresses(
  queries: Queries,
  networkId: string,
  deviceId: string,
  addresses: readonly string[],
): Promise<void> {
  const pools = await queries.all("SELECT subnet FROM pools WHERE network_id = ?", networkId);
  for (const address of addresses) {
    const places = pools.map(({ subnet }) =>
      [String(subnet), hostOf(String(subnet), parseAddress(address)!)] as const
    );
    const [subnet, host] = places.find((place): place is [string, number] => place[1] !== undefined) ?? [];
    if (subnet === undefined || !await take(queries, networkId, subnet, host!, deviceId)) {
      throw new TakenError(`the address ${address} is not free in this network`, "addresses");
    }
  }
}

async function giveAddress(
  queries: Queries,
  networkId: string,
  deviceId: string,
  subnet: string,
  next: number,
): Promise<void> {
  const last = lastHost(subnet);
  for (const start of [next, 1]) {
    const host = await firstGap(queries, networkId, subnet, start);
    if (host > last || !await take(queries, networkId, subnet, host, deviceId)) continue;
    await queries.run(
      "UPDATE pools SET next_host = ? WHERE network_id = ? AND subnet = ?",
      host + 1,
      networkId,
      subnet,
    );
    return;
  }
  throw new NetworkFullError(`no address is free in ${subnet}`);
}

/** The first free host at or after a number. */
async function firstGap(queries: Queries, networkId: string, subnet: string, from: number): Promise<number> {
  const here = await queries.get(
    "SELECT 1 AS taken FROM addresses WHERE network_id = ? AND subnet = ? AND host = ?",
    networkId,
    subnet,
    from,
  );
  if (!here) return from;
  const row = await queries.get(
    `SELECT a.host + 1 AS free FROM addresses a WHERE a.network_id = ? AND a.subnet = ? AND a.host >= ?
      AND NOT EXISTS (SELECT 1 FROM addresses b
        WHERE b.network_id = a.network_id AND b.subnet = a.subnet AND b.host = a.host + 1)
      ORDER BY a.host LIMIT 1`,
    networkId,
    subnet,
    from,
  );
  return Number(row!.free);
}

/** @returns False if another has the address. */
async function take(
  queries: Queries,
  networkId: string,
  subnet: string,
  host: number,
  deviceId: string | null,
): Promise<boolean> {
  const rows = await queries.run(
    `INSERT INTO addresses (network_id, ip, subnet, host, device_id) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (network_id, ip) DO NOTHING`,
    networkId,
    formatHost(subnet, host),
    subnet,
    host,
    deviceId,
  );
  return rows === 1;
}

function network(row: Row): Network {
  return {
    id: String(row.id),
    name: String(row.name),
    interface: String(row.interface),
    addresses: list(row.addresses),
    endpoint: String(row.endpoint),
    dns: list(row.dns),
    allowedIps: list(row.allowed_ips),
    mtu: number(row.mtu),
    keepalive: number(row.keepalive),
    publicKey: String(row.public_key),
    listenPort: Number(row.listen_port),
    createdAt: Number(row.created_at),
  };
}

function list(value: Value | undefined): string[] {
  return JSON.parse(String(value));
}

function number(value: Value | undefined): number | null {
  return value === null || value === undefined ? null : Number(value);
}
