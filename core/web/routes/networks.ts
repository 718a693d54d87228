/**
 * Networks.
 *
 * @module
 */

import * as v from "valibot";
import { isInterfaceName } from "../../config/interface_name.ts";
import { parsePrefix } from "../../config/prefix.ts";
import { audit } from "../audit.ts";
import { readServerEndpoint } from "../endpoint.ts";
import { changeTogether, interfacesOf } from "../interfaces.ts";
import { addNetwork, networkDetail, type WantedNetwork } from "../networks.ts";
import { type Call, found, type Route, route } from "../routing.ts";
import { formatTime, nameText } from "../schemas.ts";
import type { Network } from "../store/records.ts";

const prefixText = v.pipe(
  v.string(),
  v.maxLength(50),
  v.check((text) => parsePrefix(text) !== null, "write an address or a network as 10.8.0.0/24"),
);
const addressesText = v.pipe(
  v.union([
    v.pipe(v.string(), v.transform((text) => text.split(",").map((word) => word.trim()))),
    v.array(v.string()),
  ]),
  v.array(prefixText),
  v.minLength(1),
  v.maxLength(8),
);
/** DNS servers, and domains to search in. It is a line of the client's file. */
const dnsText = v.array(
  v.pipe(v.string(), v.regex(/^[0-9a-zA-Z][0-9a-zA-Z.:_-]{0,252}$/, "an address or a domain")),
);
const mtu = v.nullable(v.pipe(v.number(), v.integer(), v.minValue(576), v.maxValue(65535)));
const keepalive = v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)));
const allowedIps = v.pipe(v.array(prefixText), v.minLength(1), v.maxLength(256));
const endpoint = v.pipe(v.string(), v.minLength(1), v.maxLength(300));

/** A network to add. `address` may contain several, separated by commas. */
export const newNetwork = v.strictObject({
  name: v.pipe(
    v.string(),
    v.check(isInterfaceName, "a network is named as its interface: 1 to 15 characters, as wg0"),
  ),
  address: v.optional(addressesText),
  addresses: v.optional(addressesText),
  endpoint,
  dns: v.optional(dnsText),
  allowedIps: v.optional(allowedIps),
  mtu: v.optional(mtu),
  keepalive: v.optional(keepalive),
});

const networkChange = v.partial(
  v.strictObject({ name: nameText, endpoint, dns: dnsText, allowedIps, mtu, keepalive }),
);

const networkAnswer = v.object({
  id: v.string(),
  name: v.string(),
  interface: v.string(),
  addresses: v.array(v.string()),
  endpoint: v.string(),
  dns: v.array(v.string()),
  allowedIps: v.array(v.string()),
  mtu: v.nullable(v.number()),
  keepalive: v.nullable(v.number()),
  publicKey: v.string(),
  listenPort: v.number(),
  deviceCount: v.number(),
  createdAt: v.string(),
});

/** Their routes. */
export const networkRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/networks",
    audience: "admin",
    scope: "devices",
    summary: "Lists networks",
    gives: v.array(networkAnswer),
    async handle({ context }) {
      return await Promise.all((await context.store.networks.list()).map((one) => networkJson(context, one)));
    },
  }),
  route({
    method: "POST",
    path: "/networks",
    mayPend: true,
    audience: "admin",
    summary: "Makes a network and its interface",
    body: newNetwork,
    status: 201,
    gives: networkAnswer,
    async handle({ body, ...call }) {
      const { store, keeper, clock, settling } = call.context;
      const interfaces = interfacesOf(keeper);
      const network = await changeTogether(store, interfaces, async (records) => {
        const made = await addNetwork(records, interfaces, wantedNetwork(body), clock());
        await audit(call, "network.add", `network:${made.id}`, networkDetail(made), records);
        return made;
      }, settling);
      return await networkJson(call.context, network);
    },
  }),
  route({
    method: "GET",
    path: "/networks/:id",
    audience: "admin",
    scope: "devices",
    summary: "Shows a network",
    gives: networkAnswer,
    async handle({ params, context }) {
      return await networkJson(context, found(await context.store.networks.find(params.id!), "network"));
    },
  }),
  route({
    method: "PATCH",
    path: "/networks/:id",
    audience: "admin",
    summary: "Changes the settings in the files of new devices; existing files do not change",
    body: networkChange,
    gives: networkAnswer,
    async handle({ params, body, ...call }) {
      const { store } = call.context;
      const before = found(await store.networks.find(params.id!), "network");
      const change = {
        ...body,
        ...(body.endpoint !== undefined && { endpoint: readServerEndpoint(body.endpoint).endpoint }),
      };
      const fields = Object.keys(body) as (keyof typeof body)[];
      const pick = (network: Network) => Object.fromEntries(fields.map((field) => [field, network[field]]));
      const after = await store.transaction(async (records) => {
        const after = found(await records.networks.change(before.id, change), "network");
        const detail = { before: pick(before), after: pick(after) };
        await audit(call, "network.change", `network:${before.id}`, detail, records);
        return after;
      });
      return await networkJson(call.context, after);
    },
  }),
  route({
    method: "DELETE",
    path: "/networks/:id",
    mayPend: true,
    audience: "admin",
    summary: "Removes a network with its devices; its interface goes down and its keys are deleted",
    status: 204,
    async handle({ params, ...call }) {
      const { store, keeper, settling } = call.context;
      const network = found(await store.networks.find(params.id!), "network");
      const interfaces = interfacesOf(keeper);
      await changeTogether(store, interfaces, async (records) => {
        found(await records.networks.find(network.id), "network");
        await interfaces.unsettle(network.interface);
        await records.networks.remove(network.id);
        await audit(call, "network.remove", `network:${network.id}`, networkDetail(network), records);
      }, settling);
    },
  }),
];

/** The settings in a request. */
export function wantedNetwork(
  { address, addresses, ...body }: v.InferOutput<typeof newNetwork>,
): WantedNetwork {
  return { ...body, addresses: addresses ?? address ?? [] };
}

async function networkJson(
  { store }: Call["context"],
  { createdAt, ...network }: Network,
): Promise<v.InferOutput<typeof networkAnswer>> {
  return {
    ...network,
    addresses: [...network.addresses],
    dns: [...network.dns],
    allowedIps: [...network.allowedIps],
    deviceCount: await store.networks.countDevices(network.id),
    createdAt: formatTime(createdAt),
  };
}
