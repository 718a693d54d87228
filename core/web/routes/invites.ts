/**
 * Invitations: links that each add one device, once, without an account.
 *
 * @module
 */

import * as v from "valibot";
import { audit } from "../audit.ts";
import { actorName } from "../actor.ts";
import { addDevice } from "../devices.ts";
import { ApiError, found, type Route, route } from "../routing.ts";
import { formatTime, named, nameText, publicKeyText, readTime, timeText } from "../schemas.ts";
import type { Invite } from "../store/invites.ts";
import { charge, requireActive } from "../sign_in/sign_in.ts";

/** Milliseconds for which a link is valid: the default, and the maximum. */
const DEFAULT_LIFE = 7 * 86_400_000;
const LONGEST_LIFE = 90 * 86_400_000;

const inviteAnswer = v.object({
  id: v.string(),
  network: named,
  user: v.nullable(named),
  createdAt: v.string(),
  expiresAt: v.string(),
  usedAt: v.nullable(v.string()),
});

/** Their routes. */
export const inviteRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/invites",
    audience: "admin",
    summary: "Lists invitations",
    gives: v.array(inviteAnswer),
    async handle({ context: { store, clock } }) {
      return (await store.invites.list(clock())).map(inviteJson);
    },
  }),
  route({
    method: "POST",
    path: "/invites",
    audience: "admin",
    summary: "Makes an invitation. Only this response contains its link",
    body: v.strictObject({
      network: v.pipe(v.string(), v.maxLength(64)),
      /** The owner of the device. */
      user: v.optional(v.pipe(v.string(), v.maxLength(64))),
      expiresAt: v.optional(timeText),
    }),
    status: 201,
    gives: v.object({ ...inviteAnswer.entries, token: v.string(), link: v.string() }),
    async handle({ body, ...call }) {
      const { context: { store, clock }, info, actor } = call;
      const network = found(await store.networks.find(body.network), "network");
      const user = body.user === undefined ? undefined : found(await store.users.find(body.user), "user");
      const now = clock();
      const expiresAt = readTime(body.expiresAt) ?? now + DEFAULT_LIFE;
      if (expiresAt <= now || expiresAt > now + LONGEST_LIFE) {
        throw new ApiError(400, "bad-request", "an invitation must expire within 90 days", "expiresAt");
      }
      const wanted = { networkId: network.id, userId: user?.id, createdBy: actorName(actor), expiresAt };
      const { invite, secret } = await store.transaction(async (records) => {
        const made = await records.invites.add(wanted, now);
        const detail = { network: network.name, user: user?.name ?? null };
        await audit(call, "invite.add", `invite:${made.invite.id}`, detail, records);
        return made;
      });
      // Browsers do not send the part after #, so no log on the way contains the secret.
      const link = `${info.secure ? "https" : "http"}://${info.host}/invite#${secret}`;
      return { ...inviteJson(invite), token: secret, link };
    },
  }),
  route({
    method: "DELETE",
    path: "/invites/:id",
    audience: "admin",
    summary: "Revokes an invitation",
    status: 204,
    async handle({ params, ...call }) {
      await call.context.store.transaction(async (records) => {
        found(await records.invites.remove(params.id!) || undefined, "invitation");
        await audit(call, "invite.remove", `invite:${params.id}`, {}, records);
      });
    },
  }),
  route({
    method: "POST",
    path: "/invites/accept",
    audience: "public",
    summary: "Adds a device with an invitation. The response has its configuration without the PrivateKey",
    body: v.strictObject({
      token: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
      name: nameText,
      publicKey: publicKeyText,
    }),
    status: 201,
    gives: v.object({ id: v.string(), config: v.string() }),
    async handle({ body: { token, name, publicKey }, ...call }) {
      const { context, info } = call;
      const { store, clock } = context;
      const attempt = charge(context, info, undefined);
      const invite = await store.invites.find(token, clock());
      if (!invite) throw noInvitation();
      attempt.succeeded();
      const owner = invite.user && found(await store.users.find(invite.user.id), "user");
      if (owner) requireActive(owner, clock());
      const network = found(await store.networks.find(invite.network.id), "network");
      const added = { networkId: network.id, name, publicKey, ownerId: owner?.id };
      // The link is used if and only if there is a device.
      const { device, config } = await addDevice(call, network, added, {
        async before({ invites }) {
          if (!await invites.take(invite.id, clock())) throw noInvitation();
        },
        after: (records, { id }) =>
          audit(call, "invite.accept", `invite:${invite.id}`, { device: id }, records),
        undo: ({ invites }) => invites.giveBack(invite.id),
      });
      return { id: device.id, config };
    },
  }),
];

function noInvitation(): ApiError {
  return new ApiError(404, "no-invitation", "this link has already been used or has expired");
}

function inviteJson(
  { id, network, user, createdAt, expiresAt, usedAt }: Invite,
): v.InferOutput<typeof inviteAnswer> {
  return {
    id,
    network,
    user,
    createdAt: formatTime(createdAt),
    expiresAt: formatTime(expiresAt),
    usedAt: formatTime(usedAt),
  };
}
