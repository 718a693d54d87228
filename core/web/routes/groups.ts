/**
 * Groups: the networks and the role that they give to their members.
 *
 * @module
 */

import * as v from "valibot";
import { audit } from "../audit.ts";
import type { Context } from "../context.ts";
import { ApiError, found, type Route, route } from "../routing.ts";
import { named, nameText, role } from "../schemas.ts";
import type { Group, GroupFields } from "../store/groups.ts";
import { keepAnAdmin } from "../sign_in/administrators.ts";

const networks = v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(1_000));

const newGroup = v.strictObject({
  name: nameText,
  role: v.optional(role),
  networks: v.optional(networks),
  /** The provider that manages its members; without one, administrators do. */
  provider: v.optional(v.pipe(v.string(), v.maxLength(64))),
  /** The group at the provider: a DN, a cn, or a value of the groups claim. @default `name` */
  external: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(500))),
});

const groupChange = v.partial(v.strictObject({ name: nameText, role, networks }));

const groupAnswer = v.object({
  id: v.string(),
  name: v.string(),
  /** Name of the provider that manages its members. */
  source: v.nullable(v.string()),
  /** The group at the provider. */
  external: v.nullable(v.string()),
  role,
  members: v.number(),
  networks: v.array(named),
});

/** Their routes. */
export const groupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/groups",
    audience: "admin",
    summary: "Lists groups",
    gives: v.array(groupAnswer),
    handle: async ({ context: { store } }) => (await store.groups.list()).map(groupJson),
  }),
  route({
    method: "POST",
    path: "/groups",
    audience: "admin",
    summary: "Adds a group of this server, or one that corresponds to a provider's group",
    body: newGroup,
    status: 201,
    gives: groupAnswer,
    async handle({ body: { name, role = "user", networks = [], provider, external }, ...call }) {
      const { store, clock, signIn } = call.context;
      const fields: GroupFields = { name, role, networkIds: await networkIds(call.context, networks) };
      if (provider === undefined) {
        if (external !== undefined) {
          throw new ApiError(400, "bad-request", "name the provider of this group", "provider");
        }
        return groupJson(
          await store.transaction(async (records) => {
            const group = await records.groups.add(fields, undefined, clock());
            await audit(call, "group.add", `group:${group.id}`, { ...fields }, records);
            return group;
          }),
        );
      }
      const of = found(await store.providers.find(provider), "provider");
      const source = { providerId: of.id, subject: external ?? name };
      const { id } = await store.transaction(async (records) => {
        const group = await records.groups.add(fields, source, clock());
        const detail = { ...fields, provider: of.name, external: source.subject };
        await audit(call, "group.add", `group:${group.id}`, detail, records);
        return group;
      });
      // If the directory responds, the group has its members at once.
      if (of.kind === "ldap" && of.enabled) await signIn.sync.run(of);
      return groupJson(found(await store.groups.find(id), "group"));
    },
  }),
  route({
    method: "PATCH",
    path: "/groups/:id",
    mayPend: true,
    audience: "admin",
    summary: "Changes a group. If a user loses a network, the user's tunnels there end at once",
    body: groupChange,
    gives: groupAnswer,
    async handle({ params, body: { networks, ...body }, ...call }) {
      const { store, peers } = call.context;
      const before = found(await store.groups.find(params.id!), "group");
      const change: Partial<GroupFields> = {
        ...(body.name !== undefined && { name: body.name }),
        ...(body.role !== undefined && { role: body.role }),
        ...(networks && { networkIds: await networkIds(call.context, networks) }),
      };
      const users: string[] = [];
      const write = () =>
        keepAnAdmin(call.context, async (records) => {
          users.push(...await records.groups.memberIds(before.id));
          const group = found(await records.groups.change(before.id, change), "group");
          const detail = { group: before.name, ...change };
          await audit(call, "group.change", `group:${before.id}`, detail, records);
          return group;
        });
      const cuts = body.role !== undefined || networks;
      return groupJson(await (cuts ? peers.change({ users }, write) : write()));
    },
  }),
  route({
    method: "DELETE",
    path: "/groups/:id",
    mayPend: true,
    audience: "admin",
    summary: "Removes a group. If a user loses a network, the user's tunnels there end at once",
    status: 204,
    async handle({ params, ...call }) {
      const { store, peers } = call.context;
      const { id, name } = found(await store.groups.find(params.id!), "group");
      const users: string[] = [];
      await peers.change({ users }, () =>
        keepAnAdmin(call.context, async (records) => {
          users.push(...await records.groups.memberIds(id));
          found(await records.groups.remove(id) || undefined, "group");
          await audit(call, "group.remove", `group:${id}`, { name }, records);
        }));
    },
  }),
];

/** Identifiers of networks, which may be given by name. @throws {ApiError} If a network does not exist. */
async function networkIds({ store }: Context, given: readonly string[]): Promise<string[]> {
  const all = await store.networks.list();
  return given.map((wanted) => {
    const network = all.find(({ id, name }) => id === wanted || name === wanted);
    if (!network) throw new ApiError(400, "bad-request", "there is no such network", "networks");
    return network.id;
  });
}

function groupJson({ id, name, source, role, members, networks }: Group): v.InferOutput<typeof groupAnswer> {
  return {
    id,
    name,
    source: source?.provider.name ?? null,
    external: source?.name ?? null,
    role,
    members,
    networks: [...networks],
  };
}
