/**
 * Adds, changes and removes devices: in the store, at the interface and in the audit log.
 *
 * @module
 */

import { audit } from "./audit.ts";
import { clientConfig } from "./client_config.ts";
import { type Call, found } from "./routing.ts";
import { formatTime } from "./schemas.ts";
import type { Device, DeviceChange, Network, NewDevice } from "./store/records.ts";
import type { Records } from "./store/store.ts";

type Origin = Pick<Call, "actor" | "context" | "info">;

/** What else is done in the transactions that add a device. */
export interface Accompanying {
  /** Throws if the device must not be added. The store does not change between this and the addition. */
  readonly before?: (records: Records) => Promise<void>;
  /** After the addition. */
  readonly after?: (records: Records, device: Device) => Promise<void>;
  /** When the device is removed again, because the interface cannot be changed. */
  readonly undo?: (records: Records) => Promise<void>;
}

/**
 * Adds a device, and its peer to the interface.
 *
 * @throws {TakenError} If the network has the public key.
 * @throws {NetworkFullError} If no address is left.
 * @throws {KeeperError} If the interface cannot be changed. Nothing is added then.
 */
export async function addDevice(
  origin: Origin,
  network: Network,
  added: NewDevice,
  { before, after, undo }: Accompanying = {},
): Promise<{ device: Device; config: string }> {
  const { store, peers, clock } = origin.context;
  const device = await store.transaction(async (records) => {
    await before?.(records);
    if (added.ownerId !== undefined) found(await records.users.find(added.ownerId), "owner");
    const device = await records.devices.add(added, clock());
    await audit(origin, "device.add", `device:${device.id}`, {
      name: device.name,
      network: network.name,
      addresses: device.addresses,
      owner: device.owner?.name ?? null,
      ...(device.routedNetworks.length > 0 && { routedNetworks: device.routedNetworks }),
    }, records);
    await after?.(records, device);
    return device;
  });
  let presharedKey: string | undefined;
  try {
    presharedKey = await peers.add(device);
  } catch (error) {
    await store.transaction(async (records) => {
      if (await records.devices.remove(device.id)) await noteRemoval(origin, device, records);
      await undo?.(records);
    });
    await peers.gone(device);
    throw error;
  }
  found(presharedKey, "device");
  // The device may already be expired, and its owner may be cut off. `apply` repeats itself if it fails. The request
  // does not fail then, because the device is added and its PresharedKey is shown only this time.
  if (device.expiresAt !== null || device.owner !== null) {
    await peers.apply({ devices: [device.id] }).catch(() => {});
  }
  return { device, config: clientConfig(device, network, presharedKey) };
}

/**
 * Changes a device. Its tunnel is cut or works again at once, if the change requires it.
 *
 * @returns The changed device.
 */
export async function changeDevice(origin: Origin, before: Device, change: DeviceChange): Promise<Device> {
  const { store, peers } = origin.context;
  const rerouted = change.routedNetworks === undefined ? [] : [before.id];
  await peers.change({ devices: [before.id], rerouted }, () =>
    store.transaction(async (records) => {
      const changed = found(await records.devices.change(before.id, change), "device");
      const detail = { before: changeable(before), after: changeable(changed) };
      await audit(origin, "device.change", `device:${before.id}`, detail, records);
    }));
  // The reason why it is cut off may have changed too.
  return found(await store.devices.find(before.id), "device");
}

function changeable(device: Device): Record<string, unknown> {
  const { name, disabledAt, reason, expiresAt, owner, routedNetworks } = device;
  return {
    name,
    disabledAt: formatTime(disabledAt),
    reason,
    expiresAt: formatTime(expiresAt),
    owner: owner?.name ?? null,
    ...(routedNetworks.length > 0 && { routedNetworks }),
  };
}

/**
 * Removes a device; its tunnel ends at once.
 *
 * @returns Whether it existed. If two requests remove it at the same time, only one does.
 * @throws {KeeperError} If the interface cannot be changed. The device is not removed then.
 */
export async function removeDevice(origin: Origin, device: Device): Promise<boolean> {
  return await origin.context.peers.remove(device, (records) => noteRemoval(origin, device, records));
}

async function noteRemoval(
  origin: Origin,
  { id, name, network, addresses }: Device,
  records: Records,
): Promise<void> {
  await audit(origin, "device.remove", `device:${id}`, { name, network: network.name, addresses }, records);
}
