/**
 * A store with many devices, written in one go.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { newId } from "../../../core/web/store/ids.ts";
import type { Network } from "../../../core/web/store/records.ts";
import type { Store } from "../../../core/web/store/store.ts";

/** How many of what. */
export interface CrowdSize {
  readonly devices: number;
  /** Each has as many devices as the others; every second device is nobody's. */
  readonly users: number;
}

/**
 * Fills a new store: the first network has nearly all devices, the second one each hundredth. Of a hundred devices some 20
 * never connected, 40 are idle, and 2 are cut off.
 *
 * @param existing A network of 10.64.0.0/14 that gets all devices instead.
 */
export async function fillStore(
  store: Store,
  { devices, users }: CrowdSize,
  now: number,
  existing?: Network,
): Promise<Network[]> {
  const networks = existing ? [existing] : [
    await addNetwork(store, "wg0", "10.64.0.1/14", now),
    await addNetwork(store, "wg1", "10.8.0.1/16", now),
  ];
  const { id: groupId } = await store.groups.add(
    { name: "everybody", role: "user", networkIds: networks.map(({ id }) => id) },
    undefined,
    now,
  );
  const owners = Array.from({ length: users }, (_, at) => ({ id: newId(), name: `person ${at}` }));
  const rows = Array.from({ length: devices }, (_, at) => {
    const inSecond = networks.length > 1 && at % 100 === 99;
    const host = at + 2;
    const ip = `10.${inSecond ? 8 : 64 + (host >> 16)}.${host >> 8 & 255}.${host & 255}`;
    // Names are in another order than rows.
    const name = `${at % 7 === 0 ? "Gerät" : "device"} ${(at * 7_919) % devices}`;
    const owner = at % 2 === 0 ? undefined : owners[(at >> 1) % owners.length];
    const handshake = at % 5 === 0 ? 0 : at % 5 < 3 ? now - 1 : now - 3_600_000 - at;
    return {
      id: newId(),
      network: networks[inSecond ? 1 : 0]!,
      subnet: inSecond ? "10.8.0.0/16" : "10.64.0.0/14",
      host,
      ip,
      name,
      owner,
      publicKey: randomBytes(32).toString("base64"),
      handshake,
      disabled: at % 50 === 7,
    };
  });
  await store.database.transaction(async (queries) => {
    await queries.runMany(
      "INSERT INTO users (id, name, role, created_at) VALUES (?, ?, 'user', ?)",
      owners.map(({ id, name }) => [id, name, now]),
    );
    await queries.runMany(
      "INSERT INTO memberships (group_id, user_id, source) VALUES (?, ?, 'local')",
      owners.map(({ id }) => [groupId, id]),
    );
    await queries.runMany(
      `INSERT INTO devices (id, network_id, user_id, name, public_key, disabled_at, cut, search, created_at,
        last_handshake_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      rows.map(({ id, network, owner, name, publicKey, disabled, ip, handshake }, at) => [
        id,
        network.id,
        owner?.id ?? null,
        name,
        publicKey,
        disabled ? now : null,
        disabled ? "disabled" : null,
        [name, owner?.name, publicKey, ip].filter(Boolean).join("\n").toLowerCase(),
        now - (at % 977) * 1_000,
        handshake,
      ]),
    );
    await queries.runMany(
      "INSERT INTO addresses (network_id, ip, subnet, host, device_id) VALUES (?, ?, ?, ?, ?)",
      rows.map(({ network, ip, subnet, host, id }) => [network.id, ip, subnet, host, id]),
    );
    await queries.runMany(
      "UPDATE pools SET next_host = ? WHERE network_id = ?",
      networks.map(({ id }) => [devices + 2, id]),
    );
  });
  return networks;
}

function addNetwork(store: Store, name: string, address: string, now: number): Promise<Network> {
  return store.networks.add({
    name,
    interface: name,
    addresses: [address],
    endpoint: "192.0.2.1:51820",
    dns: [],
    allowedIps: [address],
    mtu: null,
    keepalive: null,
    publicKey: randomBytes(32).toString("base64"),
    listenPort: name === "wg0" ? 51_820 : 51_821,
  }, now);
}
