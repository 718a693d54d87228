/**
 * The user's own account: devices, password, second factor.
 *
 * @module
 */

import * as v from "valibot";
import { clientConfig } from "../client_config.ts";
import type { Context } from "../context.ts";
import { addDevice, changeDevice, removeDevice } from "../devices.ts";
import { ApiError, type Call, found, type Route, route } from "../routing.ts";
import { deviceAnswer, named, nameText, publicKeyText, role } from "../schemas.ts";
import { LOCAL } from "../store/identities.ts";
import type { Device, User } from "../store/records.ts";
import type { Records } from "../store/store.ts";
import { deviceJson } from "./devices.ts";

/** The signed-in user. */
export const meAnswer = v.object({
  user: v.object({
    id: v.string(),
    name: v.string(),
    email: v.nullable(v.string()),
    role,
  }),
  networks: v.array(named),
  maxDevices: v.number(),
  deviceCount: v.number(),
  /** Whether they have a password on this server, which they can change. */
  hasPassword: v.boolean(),
  /** Whether a second factor is required at sign-in. */
  totp: v.boolean(),
  /** Whether the interfaces have all devices. After a start with many devices this takes a while. */
  settled: v.boolean(),
});

/** The signed-in user in responses. */
export async function meJson(
  { store, peers }: Context,
  user: User,
): Promise<v.InferOutput<typeof meAnswer>> {
  const { id, name, email, role } = user;
  const identities = await store.identities.ofUser(id);
  return {
    user: { id, name, email, role },
    networks: [...await store.groups.networksOf(id)],
    maxDevices: await limitOf(store, user),
    deviceCount: await store.devices.countOf(id),
    hasPassword: identities.some(({ providerId }) => providerId === LOCAL),
    totp: identities.some(({ sealedTotp }) => sealedTotp !== null),
    settled: peers.isSettled,
  };
}

/** How many devices a user may have. */
async function limitOf({ settings }: Records, { maxDevices }: User): Promise<number> {
  return maxDevices ?? await settings.maxDevices();
}

/** @throws {ApiError} If a user has reached the limit of devices. */
async function requireRoom(records: Records, { id }: User): Promise<void> {
  const limit = await limitOf(records, found(await records.users.find(id), "user"));
  if (await records.devices.countOf(id) < limit) return;
  throw new ApiError(409, "too-many-devices", `you may have ${limit} devices; remove one first`);
}

/** The user who sent a request. API tokens cannot call these routes. */
export function userOf({ actor }: Pick<Call, "actor">): User {
  if (actor.kind !== "user") throw new ApiError(403, "not-allowed", "tokens cannot be used for this");
  return actor.user;
}

/** Routes of a user's own account and its devices. */
export const meRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/me",
    audience: "user",
    summary: "Shows the signed-in user",
    gives: meAnswer,
    handle: (call) => meJson(call.context, userOf(call)),
  }),
  route({
    method: "GET",
    path: "/me/devices",
    audience: "user",
    summary: "Lists the user's own devices",
    gives: v.array(deviceAnswer),
    async handle({ context: { store, clock }, ...call }) {
      const now = clock();
      const { items } = await store.devices.list({ ownerId: userOf(call).id, limit: 1_000 }, now);
      return items.map((device) => deviceJson(device, now));
    },
  }),
  route({
    method: "POST",
    path: "/me/devices",
    audience: "user",
    summary: "Adds a device for the user. The response has its configuration without the PrivateKey",
    body: v.strictObject({ network: v.string(), name: nameText, publicKey: publicKeyText }),
    status: 201,
    gives: v.object({ id: v.string(), config: v.string() }),
    async handle({ body, ...call }) {
      const user = userOf(call);
      const { store } = call.context;
      // The response is the same for a network that the user may not use and one that does not exist.
      const allowed = (await store.groups.networksOf(user.id)).some(({ id, name }) =>
        id === body.network || name === body.network
      );
      const network = found(allowed ? await store.networks.find(body.network) : undefined, "network");
      const { device, config } = await addDevice(call, network, {
        networkId: network.id,
        name: body.name,
        publicKey: body.publicKey,
        ownerId: user.id,
      }, { before: (records) => requireRoom(records, user) });
      return { id: device.id, config };
    },
  }),
  route({
    method: "PATCH",
    path: "/me/devices/:id",
    mayPend: true,
    audience: "user",
    summary: "Renames one of the user's own devices",
    body: v.strictObject({ name: nameText }),
    gives: deviceAnswer,
    async handle({ body: { name }, ...call }) {
      const device = await changeDevice(call, await ownDevice(call), { name });
      return deviceJson(device, call.context.clock());
    },
  }),
  route({
    method: "DELETE",
    path: "/me/devices/:id",
    audience: "user",
    summary: "Removes one of the user's own devices; its tunnel ends at once",
    status: 204,
    async handle(call) {
      found(await removeDevice(call, await ownDevice(call)) || undefined, "device");
    },
  }),
  route({
    method: "GET",
    path: "/me/devices/:id/config",
    audience: "user",
    summary:
      "The configuration of one of the user's own devices, without its PrivateKey and its PresharedKey",
    async handle(call) {
      const device = await ownDevice(call);
      const network = found(await call.context.store.networks.find(device.network.id), "network");
      return new Response(clientConfig(device, network));
    },
  }),
];

/** The response is the same for another user's device and one that does not exist. */
async function ownDevice(
  { context: { store }, params, ...call }: Pick<Call, "actor" | "context" | "params">,
): Promise<Device> {
  const device = await store.devices.find(params.id!);
  return found(device?.owner?.id === userOf(call).id ? device : undefined, "device");
}
