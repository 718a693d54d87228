/**
 * Live values of devices, their traffic, and the reasons why they do not connect. Users can read these of their own
 * devices.
 *
 * @module
 */

import * as v from "valibot";
import { type Actor, authenticate } from "../actor.ts";
import { readHistory, SPAN_NAMES } from "../live/history.ts";
import { reasonsOf } from "../live/reasons.ts";
import type { LiveDevice } from "../live/sampler.ts";
import { liveStream } from "../live/stream.ts";
import { found, type Route, route } from "../routing.ts";
import { formatTime } from "../schemas.ts";
import { stateOf } from "../store/device_state.ts";
import type { Device } from "../store/records.ts";
import type { Store } from "../store/store.ts";

/** The most devices in one stream: more than fit on a screen. */
const MOST = 200;

const reasonAnswer = v.object({
  code: v.string(),
  text: v.string(),
  values: v.record(v.string(), v.string()),
});

/** Their routes. */
export const liveRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/live",
    audience: "user",
    scope: "devices",
    summary: "Follows devices: sends server-sent events named `devices` when a device has changed",
    query: v.strictObject({
      devices: v.pipe(
        v.string(),
        v.transform((text) => text.split(",")),
        v.maxLength(MOST, `at most ${MOST} devices`),
      ),
    }),
    handle({ actor, query, request, info, context }) {
      const { sampler, clock } = context;
      const ownerId = ownerOf(actor);
      const json = (device: LiveDevice) => liveJson(device, clock());
      const isAllowed = async () => {
        const now = await authenticate(request, info, context);
        return now.kind === actor.kind && ownerOf(now) === ownerId;
      };
      const { signal } = request;
      return Promise.resolve(liveStream(sampler, { ids: query.devices, ownerId, isAllowed, json, signal }));
    },
  }),
  route({
    method: "GET",
    path: "/devices/:id/traffic",
    audience: "user",
    scope: "devices",
    summary: "The traffic of a device: bytes received from it and sent to it, in each step of a span",
    query: v.strictObject({ span: v.optional(v.picklist(SPAN_NAMES), "day") }),
    gives: v.object({
      step: v.number(),
      points: v.array(v.tuple([v.number(), v.number(), v.number()])),
    }),
    async handle({ actor, params, query, context: { store, clock } }) {
      const { id } = await readableDevice(store, actor, params.id!);
      return await readHistory(store.traffic, id, query.span, clock());
    },
  }),
  route({
    method: "GET",
    path: "/devices/:id/reasons",
    audience: "user",
    scope: "devices",
    summary:
      "Why a device does not connect, or why the server has no route to a network behind it; else an empty list",
    gives: v.array(reasonAnswer),
    async handle({ actor, params, context: { store, sampler, peers, clock } }) {
      const device = await readableDevice(store, actor, params.id!);
      const network = found(await store.networks.find(device.network.id), "network");
      const unroutable = device.routedNetworks.flatMap((routed) => {
        const cause = peers.routes.causeOf(network.interface, routed);
        return cause === undefined ? [] : [{ network: routed, cause }];
      });
      return reasonsOf({ device, network, unroutable, now: clock(), ...await sampler.facts(device) });
    },
  }),
];

/** The user whose devices an actor may read; undefined for all users. */
function ownerOf(actor: Actor): string | undefined {
  return actor.kind === "user" && actor.user.role !== "admin" ? actor.user.id : undefined;
}

/** @throws {ApiError} 404. Also for the devices of other users, so that nobody learns whether they exist. */
async function readableDevice(store: Store, actor: Actor, id: string): Promise<Device> {
  const device = await store.devices.find(id);
  const owner = ownerOf(actor);
  return found(owner === undefined || device?.owner?.id === owner ? device : undefined, "device");
}

function liveJson(device: LiveDevice, now: number) {
  return {
    id: device.id,
    state: stateOf(device, now),
    rxRate: Math.round(device.rxRate),
    txRate: Math.round(device.txRate),
    rxBytes: device.rxBytes,
    txBytes: device.txBytes,
    lastHandshake: formatTime(device.lastHandshakeAt || null),
    endpoint: device.endpoint,
  };
}
