/**
 * Adding and removing devices: in the store and at the interface.
 *
 * @module
 */

import { actorName } from "./actor.ts";
import { clientConfig } from "./client_config.ts";
import type { Call } from "./routing.ts";
import type { Device, Network, NewDevice } from "./store/records.ts";

type Origin = Pick<Call, "actor" | "context" | "info">;

/**
 * Adds a device, and its peer to the interface.
 *
 * @returns Its configuration too, without the PrivateKey. The PresharedKey is in it, this once.
 * @throws {TakenError} If the network has the public key.
 * @throws {NetworkFullError} If no address is left.
 * @throws {KeeperError} If the interface cannot be changed; then nothing is added.
 */
export async function addDevice(
  { actor, context, info }: Origin,
  network: Network,
  added: NewDevice,
): Promise<{ device: Device; config: string }> {
  const { store, peers, clock } = context;
  const device = await store.devices.add(added, clock());
  let presharedKey: string;
  try {
    presharedKey = await peers.add(device);
  } catch (error) {
    await store.devices.remove(device.id);
    throw error;
  }
  // It may expire, and its owner may be cut off.
  if (device.expiresAt !== null || device.owner !== null) await peers.apply();
  await store.events.add({
    actor: actorName(actor),
    action: "device.add",
    target: `device:${device.id}`,
    address: info.address,
    detail: {
      name: device.name,
      network: network.name,
      addresses: device.addresses,
      owner: device.owner?.name ?? null,
    },
  }, clock());
  return { device, config: clientConfig(device, network, presharedKey) };
}

/**
 * Removes a device; its tunnel ends at once.
 *
 * @throws {KeeperError} If the interface cannot be changed; then the device stays.
 */
export async function removeDevice({ actor, context, info }: Origin, device: Device): Promise<void> {
  const { store, peers, clock } = context;
  await peers.remove(device);
  await store.events.add({
    actor: actorName(actor),
    action: "device.remove",
    target: `device:${device.id}`,
    address: info.address,
    detail: { name: device.name, network: device.network.name, addresses: device.addresses },
  }, clock());
}
