/**
 * Users, for administrators.
 *
 * @module
 */

import * as v from "valibot";
import { audit } from "../audit.ts";
import type { Context } from "../context.ts";
import { removeDevice } from "../devices.ts";
import { ApiError, type Call, found, type Route, route } from "../routing.ts";
import { formatTime, named, nameText, readTime, role, timeText } from "../schemas.ts";
import { type Identity, LOCAL } from "../store/identities.ts";
import type { Named } from "../store/groups.ts";
import { TakenError } from "../store/errors.ts";
import { nameTaken } from "../store/users.ts";
import type { User } from "../store/records.ts";
import type { Records } from "../store/store.ts";
import { keepAnAdmin, requireAnAdminAfter } from "../sign_in/administrators.ts";
import { passwordText, requireGoodPassword, sessionAnswer, sessionJson } from "./sessions.ts";

const emailText = v.pipe(v.string(), v.maxLength(254), v.regex(/^[^\s@]+@[^\s@]+$/, "an e-mail address"));
const reasonText = v.pipe(v.string(), v.maxLength(200));
const limit = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(10_000));
const groupIds = v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(1_000));

const newUser = v.strictObject({
  name: nameText,
  email: v.optional(emailText),
  password: passwordText,
  role: v.optional(role),
  groups: v.optional(groupIds),
  expiresAt: v.optional(timeText),
  maxDevices: v.optional(v.nullable(limit)),
});

const userChange = v.partial(v.strictObject({
  email: v.nullable(emailText),
  role,
  disabled: v.boolean(),
  reason: v.nullable(reasonText),
  expiresAt: v.nullable(timeText),
  maxDevices: v.nullable(limit),
  /** Groups of this server. Membership in groups of providers is set at the provider. */
  groups: groupIds,
  password: passwordText,
  /** A lost second factor can only be turned off. */
  totp: v.literal(false),
}));

const userAnswer = v.object({
  id: v.string(),
  name: v.string(),
  email: v.nullable(v.string()),
  /** Set for the user, without groups. */
  role,
  /** Including what groups give. */
  effectiveRole: role,
  disabledAt: v.nullable(v.string()),
  disabledBy: v.nullable(v.picklist(["administrator", "directory"])),
  reason: v.nullable(v.string()),
  expiresAt: v.nullable(v.string()),
  maxDevices: v.nullable(v.number()),
  deviceCount: v.number(),
  groups: v.array(named),
  providers: v.array(named),
  totp: v.boolean(),
  createdAt: v.string(),
});

/** Their routes. */
export const userRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/users",
    audience: "admin",
    summary: "Lists users",
    gives: v.array(userAnswer),
    async handle({ context: { store } }) {
      const [users, counts, groups, identities, providers] = await Promise.all([
        store.users.list(),
        store.users.deviceCounts(),
        store.groups.byUser(),
        store.identities.byUser(),
        providerNames(store),
      ]);
      return users.map((user) =>
        userJson(
          user,
          counts.get(user.id) ?? 0,
          groups.get(user.id) ?? [],
          identities.get(user.id) ?? [],
          providers,
        )
      );
    },
  }),
  route({
    method: "POST",
    path: "/users",
    audience: "admin",
    summary: "Adds a user with a password",
    body: newUser,
    status: 201,
    gives: userAnswer,
    async handle({ body, ...call }) {
      const { store, signIn, clock } = call.context;
      requireGoodPassword(body.password, [body.name, body.email ?? null]);
      const groups = await localGroups(call.context, body.groups ?? []);
      // A hash takes long, so what is refused is refused before. The store checks the name again.
      if (await store.users.findByName(body.name)) throw new TakenError(nameTaken(body.name), "name");
      const added = {
        name: body.name,
        email: body.email,
        role: body.role ?? "user",
        expiresAt: readTime(body.expiresAt),
        maxDevices: body.maxDevices ?? undefined,
        passwordHash: await signIn.passwords.hash(body.password),
      };
      const user = await store.transaction(async (records) => {
        const user = await records.users.add(added, clock());
        await records.groups.setOfUser(user.id, LOCAL, groups);
        await audit(call, "user.add", `user:${user.id}`, { name: user.name, role: user.ownRole }, records);
        return user;
      });
      return await oneUser(call.context, user.id);
    },
  }),
  route({
    method: "GET",
    path: "/users/:id",
    audience: "admin",
    summary: "Shows a user",
    gives: userAnswer,
    handle: ({ context, params }) => oneUser(context, params.id!),
  }),
  route({
    method: "PATCH",
    path: "/users/:id",
    mayPend: true,
    audience: "admin",
    summary: "Changes a user. The sessions and tunnels of a disabled user end at once",
    body: userChange,
    gives: userAnswer,
    async handle({ body, params, ...call }) {
      const { context } = call;
      const { store, peers } = context;
      const before = found(await store.users.find(params.id!), "user");
      if (body.password !== undefined) requireGoodPassword(body.password, [before.name, before.email]);
      const groups = body.groups && await localGroups(context, body.groups);
      const now = context.clock();
      let passwordHash: string | undefined;
      if (body.password !== undefined) {
        // A hash takes long, so what is refused is refused before.
        await requireAnAdminAfter(
          context,
          (records) => writeChange(records, before.id, { ...body, groups, passwordHash: undefined }, now),
        );
        passwordHash = await context.signIn.passwords.hash(body.password);
      }
      const { password, ...shown } = body;
      await peers.change({ users: [before.id] }, () =>
        keepAnAdmin(context, async (records) => {
          await writeChange(records, before.id, { ...body, groups, passwordHash }, now);
          if (body.disabled || password !== undefined) {
            const own = call.actor.kind === "user" && call.actor.user.id === before.id
              ? call.actor.session.id
              : "";
            await records.sessions.endAll(before.id, own);
          }
          const detail = {
            name: before.name,
            ...shown,
            ...(password !== undefined && { password: "changed" }),
          };
          await audit(call, "user.change", `user:${before.id}`, detail, records);
        }));
      return await oneUser(context, before.id);
    },
  }),
  route({
    method: "DELETE",
    path: "/users/:id",
    mayPend: true,
    audience: "admin",
    summary: "Removes a user and their devices. The tunnels end at once",
    status: 204,
    async handle({ params, ...call }) {
      const { store, peers, clock } = call.context;
      const user = found(await store.users.find(params.id!), "user");
      await peers.change({ users: [user.id] }, async () => {
        // From now on the user has no access, even if a device cannot be removed.
        await keepAnAdmin(call.context, async (records) => {
          const { users, sessions } = records;
          const before = found(await users.find(user.id), "user");
          await sessions.endAll(user.id);
          if (before.disabledBy === "administrator") return;
          await users.change(user.id, { disabledBy: "administrator" }, clock());
          const detail = { name: before.name, disabled: true, by: "removal" };
          await audit(call, "user.change", `user:${user.id}`, detail, records);
        });
        // An earlier request may still add a device. Deleting that device with its owner would leave its peer on the
        // interface.
        while (!await removeWithoutDevices(call, user)) {
          const { items } = await store.devices.list({ ownerId: user.id, limit: 100 }, clock());
          for (const device of items) await removeDevice(call, device);
        }
      });
    },
  }),
  route({
    method: "GET",
    path: "/users/:id/sessions",
    audience: "admin",
    summary: "Lists a user's sessions",
    gives: v.array(sessionAnswer),
    async handle({ params, context: { store, clock }, actor }) {
      const { id } = found(await store.users.find(params.id!), "user");
      const current = actor.kind === "user" ? actor.session.id : undefined;
      return (await store.sessions.listOf(id, clock())).map((session) => sessionJson(session, current));
    },
  }),
  route({
    method: "DELETE",
    path: "/users/:id/sessions",
    audience: "admin",
    summary: "Ends all sessions of a user",
    status: 204,
    async handle({ params, ...call }) {
      const { store } = call.context;
      const { id, name } = found(await store.users.find(params.id!), "user");
      await store.transaction(async (records) => {
        await records.sessions.endAll(id);
        await audit(call, "user.end-sessions", `user:${id}`, { name }, records);
      });
    },
  }),
];

/** @returns False if the user still has devices. @throws {ApiError} If another request has removed the user. */
async function removeWithoutDevices(
  call: Pick<Call, "actor" | "context" | "info">,
  { id, name }: User,
): Promise<boolean> {
  return await call.context.store.transaction(async (records) => {
    if (await records.devices.countOf(id) > 0) return false;
    found(await records.users.remove(id) || undefined, "user");
    await audit(call, "user.remove", `user:${id}`, { name }, records);
    return true;
  });
}

async function writeChange(
  records: Records,
  id: string,
  change: Omit<v.InferOutput<typeof userChange>, "groups" | "password"> & {
    readonly groups: readonly string[] | undefined;
    readonly passwordHash: string | undefined;
  },
  now: number,
): Promise<void> {
  const { users, groups, identities } = records;
  await users.change(id, {
    email: change.email,
    role: change.role,
    ...(change.disabled !== undefined && { disabledBy: change.disabled ? "administrator" : null }),
    reason: change.reason,
    expiresAt: readTime(change.expiresAt),
    maxDevices: change.maxDevices,
  }, now);
  if (change.groups) await groups.setOfUser(id, LOCAL, change.groups);
  if (change.passwordHash !== undefined) await identities.setPassword(id, change.passwordHash);
  if (change.totp === false) {
    for (const identity of await identities.ofUser(id)) await identities.setTotp(identity.id, null);
  }
}

/** @throws {ApiError} If a group does not exist, or belongs to a provider. */
async function localGroups({ store }: Context, ids: readonly string[]): Promise<readonly string[]> {
  const groups = new Map((await store.groups.list()).map((group) => [group.id, group]));
  for (const id of ids) {
    const group = groups.get(id);
    if (!group) throw new ApiError(400, "bad-request", "there is no such group", "groups");
    if (group.source) {
      const { provider } = group.source;
      throw new ApiError(
        400,
        "bad-request",
        `${provider.name} manages the members of ${group.name}`,
        "groups",
      );
    }
  }
  return ids;
}

async function providerNames(store: Context["store"]): Promise<Map<string, string>> {
  return new Map([
    [LOCAL, "wgd"],
    ...(await store.providers.list()).map(({ id, name }) => [id, name] as const),
  ]);
}

async function oneUser({ store }: Context, id: string): Promise<v.InferOutput<typeof userAnswer>> {
  const user = found(await store.users.find(id), "user");
  return userJson(
    user,
    await store.devices.countOf(id),
    await store.groups.ofUser(id),
    await store.identities.ofUser(id),
    await providerNames(store),
  );
}

function userJson(
  user: User,
  deviceCount: number,
  groups: readonly Named[],
  identities: readonly Pick<Identity, "providerId" | "sealedTotp">[],
  providers: ReadonlyMap<string, string>,
): v.InferOutput<typeof userAnswer> {
  return {
    id: user.id,
    name: user.name,
    email: user.email,
    role: user.ownRole,
    effectiveRole: user.role,
    disabledAt: formatTime(user.disabledAt),
    disabledBy: user.disabledBy,
    reason: user.reason,
    expiresAt: formatTime(user.expiresAt),
    maxDevices: user.maxDevices,
    deviceCount,
    groups: [...groups],
    providers: identities.map(({ providerId: id }) => ({ id, name: providers.get(id) ?? id })),
    totp: identities.some(({ sealedTotp }) => sealedTotp !== null),
    createdAt: formatTime(user.createdAt),
  };
}
