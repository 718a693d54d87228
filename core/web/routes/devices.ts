/**
 * Devices, for administrators and for programs with a token.
 *
 * @module
 */

import * as v from "valibot";
import { formatPrefix, parsePrefix } from "../../config/prefix.ts";
import { clientConfig } from "../client_config.ts";
import type { Context } from "../context.ts";
import { addDevice, changeDevice, removeDevice } from "../devices.ts";
import { takeTooMuch, whyNotBehind } from "../routed_network.ts";
import { ApiError, type Call, found, type Route, route } from "../routing.ts";
import {
  deviceAnswer,
  formatTime,
  nameText,
  numberText,
  pageOf,
  publicKeyText,
  readTime,
  timeText,
} from "../schemas.ts";
import { stateOf } from "../store/device_state.ts";
import type { Device } from "../store/records.ts";

const SCOPE = "devices";

/** Networks behind a device. Only an administrator may set them, no token. */
const routedNetworksText = v.pipe(v.array(v.pipe(v.string(), v.maxLength(50))), v.maxLength(64));

const newDevice = v.strictObject({
  network: v.string(),
  name: nameText,
  publicKey: publicKeyText,
  owner: v.optional(v.string()),
  expiresAt: v.optional(timeText),
  routedNetworks: v.optional(routedNetworksText),
});

const deviceChange = v.partial(v.strictObject({
  name: nameText,
  disabled: v.boolean(),
  reason: v.nullable(v.pipe(v.string(), v.maxLength(200))),
  expiresAt: v.nullable(timeText),
  owner: v.nullable(v.string()),
  routedNetworks: routedNetworksText,
}));

const listQuery = v.strictObject({
  network: v.optional(v.string()),
  search: v.optional(v.pipe(v.string(), v.maxLength(200))),
  state: v.optional(v.picklist(["online", "idle", "never", "expired", "disabled"])),
  owner: v.optional(v.string()),
  sort: v.optional(v.picklist(["name", "-name", "created", "-created", "handshake", "-handshake"])),
  cursor: v.optional(v.string()),
  limit: v.optional(numberText),
});

/** Their routes. */
export const deviceRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/devices",
    audience: "admin",
    scope: SCOPE,
    summary: "Lists devices",
    query: listQuery,
    gives: pageOf(deviceAnswer),
    async handle({ query: { network, owner, sort, ...query }, context: { store, clock } }) {
      const networkId = network === undefined
        ? undefined
        : found(await store.networks.find(network), "network").id;
      const now = clock();
      const page = await store.devices.list({
        ...query,
        networkId,
        ownerId: owner,
        sort: sort?.replace("-", "") as "name" | "created" | "handshake" | undefined,
        descending: sort?.startsWith("-"),
      }, now);
      return { ...page, items: page.items.map((device) => deviceJson(device, now)) };
    },
  }),
  route({
    method: "POST",
    path: "/devices",
    audience: "admin",
    scope: SCOPE,
    summary:
      "Adds a device. The response has its configuration without the PrivateKey, which stays on the device",
    body: newDevice,
    status: 201,
    gives: v.object({ id: v.string(), config: v.string() }),
    async handle({ body, ...call }) {
      const { context: { store } } = call;
      requireAdministrator(call, body.routedNetworks);
      const routedNetworks = readRoutedNetworks(body.routedNetworks);
      const network = found(await store.networks.find(body.network), "network");
      if (body.owner !== undefined) found(await store.users.find(body.owner), "owner");
      const { device, config } = await addDevice(call, network, {
        networkId: network.id,
        name: body.name,
        publicKey: body.publicKey,
        ownerId: body.owner,
        expiresAt: readTime(body.expiresAt),
        routedNetworks,
      });
      return { id: device.id, config };
    },
  }),
  route({
    method: "GET",
    path: "/devices/:id",
    audience: "admin",
    scope: SCOPE,
    summary: "Shows a device",
    gives: deviceAnswer,
    async handle({ params, context }) {
      return deviceJson(await findDevice(context, params.id!), context.clock());
    },
  }),
  route({
    method: "PATCH",
    path: "/devices/:id",
    mayPend: true,
    audience: "admin",
    scope: SCOPE,
    summary: "Changes a device",
    body: deviceChange,
    gives: deviceAnswer,
    async handle({ params, body, ...call }) {
      const { store, clock } = call.context;
      requireAdministrator(call, body.routedNetworks);
      const routedNetworks = readRoutedNetworks(body.routedNetworks);
      const before = await findDevice(call.context, params.id!);
      if (routedNetworks?.length === 0 && before.addresses.length === 0) {
        throw refuse("this device has no address, so it needs a network behind it", "needs-one");
      }
      if (typeof body.owner === "string") found(await store.users.find(body.owner), "owner");
      const device = await changeDevice(call, before, {
        ...(body.name !== undefined && { name: body.name }),
        ...(body.disabled !== undefined &&
          { disabledAt: body.disabled ? before.disabledAt ?? clock() : null }),
        ...(body.reason !== undefined && { reason: body.reason }),
        ...(body.expiresAt !== undefined && { expiresAt: readTime(body.expiresAt) }),
        ...(body.owner !== undefined && { ownerId: body.owner }),
        ...(routedNetworks !== undefined && { routedNetworks }),
      });
      return deviceJson(device, clock());
    },
  }),
  route({
    method: "DELETE",
    path: "/devices/:id",
    audience: "admin",
    scope: SCOPE,
    summary: "Removes a device; its tunnel ends at once",
    status: 204,
    async handle({ params, ...call }) {
      const device = await findDevice(call.context, params.id!);
      found(await removeDevice(call, device) || undefined, "device");
    },
  }),
  route({
    method: "GET",
    path: "/devices/:id/config",
    audience: "admin",
    scope: SCOPE,
    summary: "The configuration of a device, without its PrivateKey and its PresharedKey",
    async handle({ params, context }) {
      const device = await findDevice(context, params.id!);
      const network = found(await context.store.networks.find(device.network.id), "network");
      return new Response(clientConfig(device, network));
    },
  }),
];

/** @throws {ApiError} If a token sets networks behind a device. The routes decide that users are administrators. */
function requireAdministrator(
  { actor }: Pick<Call, "actor">,
  routedNetworks: readonly string[] | undefined,
): void {
  if (routedNetworks === undefined || actor.kind === "user") return;
  const message = "only an administrator can set the networks behind a device";
  throw new ApiError(403, "not-allowed", message, "routedNetworks");
}

const WHY_NOT_BEHIND = {
  "no-network": "is not a network such as 192.168.7.0/24",
  "too-large": "is too large: its prefix length must be 8 or more",
  "reserved": "is reserved, so it cannot be behind a device",
};

/** The error for networks that cannot be behind a device. `routedNetworks.CODE` is its text on the page. */
function refuse(message: string, code: string, values: Record<string, string> = {}): ApiError {
  return new ApiError(400, "bad-request", message, "routedNetworks", { code, values });
}

/** @throws {ApiError} If one of them cannot be behind a device. */
function readRoutedNetworks<T extends readonly string[] | undefined>(texts: T): T | string[] {
  if (texts === undefined) return texts;
  for (const network of texts) {
    const code = whyNotBehind(network);
    if (code !== undefined) throw refuse(`"${network}" ${WHY_NOT_BEHIND[code]}`, code, { network });
  }
  const networks = texts.map((text) => formatPrefix(parsePrefix(text)!));
  if (takeTooMuch(networks)) {
    throw refuse("these networks are too large together", "too-large-together");
  }
  return networks;
}

async function findDevice({ store }: Context, id: string): Promise<Device> {
  return found(await store.devices.find(id), "device");
}

/** A device in responses. */
export function deviceJson(device: Device, now: number): v.InferOutput<typeof deviceAnswer> {
  return {
    id: device.id,
    network: { id: device.network.id, name: device.network.name },
    name: device.name,
    owner: device.owner,
    publicKey: device.publicKey,
    addresses: [...device.addresses],
    routedNetworks: [...device.routedNetworks],
    state: stateOf(device, now),
    reason: device.reason ?? device.cut,
    createdAt: formatTime(device.createdAt),
    expiresAt: formatTime(device.expiresAt),
    endpoint: device.endpoint,
    lastHandshake: formatTime(device.lastHandshakeAt || null),
    rxBytes: device.rxBytes,
    txBytes: device.txBytes,
  };
}
