/**
 * Sign-in providers: directories and OpenID providers.
 *
 * @module
 */

import * as v from "valibot";
import { audit } from "../audit.ts";
import { ApiError, found, type Route, route } from "../routing.ts";
import { formatTime, named, nameText, role } from "../schemas.ts";
import type { Provider, ProviderKind } from "../store/providers.ts";
import { keepAnAdmin } from "../sign_in/administrators.ts";
import { completeLdapSettings, LdapSettingsError } from "../sign_in/ldap_settings.ts";
import { issuerOf, OidcError } from "../sign_in/oidc.ts";
import { ldapSettings, oidcSettings, placeOfSecret } from "../sign_in/provider_access.ts";
import type { DirectorySync, SyncStatus } from "../sign_in/sync.ts";
import { tryProvider } from "../sign_in/try_provider.ts";

const kind = v.picklist(["ldap", "oidc"]);
const settings = v.record(v.string(), v.unknown());
const secretText = v.pipe(v.string(), v.minLength(1), v.maxLength(2_000));

const newProvider = v.strictObject({
  kind,
  name: nameText,
  settings,
  /** The password of the searching account, or the client's secret. */
  secret: v.optional(secretText),
  enabled: v.optional(v.boolean()),
});

const providerChange = v.partial(v.strictObject({
  name: nameText,
  settings,
  secret: v.nullable(secretText),
  enabled: v.boolean(),
}));

const syncAnswer = v.object({
  at: v.string(),
  state: v.picklist(["ok", "held", "failed"]),
  /** In English; code and values are for other languages. */
  message: v.string(),
  code: v.string(),
  values: v.record(v.string(), v.string()),
  /** Whether an administrator can confirm the changes that are held. */
  confirmable: v.boolean(),
});

const providerAnswer = v.object({
  id: v.string(),
  kind,
  name: v.string(),
  enabled: v.boolean(),
  settings,
  hasSecret: v.boolean(),
  /** The result of the last comparison with the directory. */
  sync: v.nullable(syncAnswer),
  createdAt: v.string(),
});

const triedAnswer = v.object({
  entry: v.nullable(v.object({
    subject: v.string(),
    name: v.string(),
    displayName: v.nullable(v.string()),
    email: v.nullable(v.string()),
    dn: v.nullable(v.string()),
  })),
  groups: v.array(v.object({ name: v.string(), group: v.nullable(named) })),
  decision: v.object({
    allowed: v.boolean(),
    role,
    networks: v.array(named),
    code: v.string(),
    text: v.string(),
    values: v.record(v.string(), v.string()),
  }),
});

/** Their routes. */
export const providerRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/providers",
    audience: "admin",
    summary: "Lists providers, without their secrets",
    gives: v.array(providerAnswer),
    async handle({ context: { store, signIn } }) {
      return (await store.providers.list()).map((provider) => providerJson(provider, signIn.sync));
    },
  }),
  route({
    method: "POST",
    path: "/providers",
    audience: "admin",
    summary: "Adds a provider",
    body: newProvider,
    status: 201,
    gives: providerAnswer,
    async handle({ body: { kind, name, secret, enabled = true, ...body }, ...call }) {
      const { store, signIn, clock } = call.context;
      const settings = checkSettings(kind, body.settings);
      const seal = (id: string) => secret === undefined ? null : signIn.seal.seal(secret, placeOfSecret(id));
      const provider = await store.transaction(async (records) => {
        const provider = await records.providers.add(kind, { name, settings, enabled }, seal, clock());
        await audit(call, "provider.add", `provider:${provider.id}`, { kind, name, settings }, records);
        return provider;
      });
      return providerJson(provider, signIn.sync);
    },
  }),
  route({
    method: "GET",
    path: "/providers/:id",
    audience: "admin",
    summary: "Shows a provider, without its secret",
    gives: providerAnswer,
    async handle({ params, context: { store, signIn } }) {
      return providerJson(found(await store.providers.find(params.id!), "provider"), signIn.sync);
    },
  }),
  route({
    method: "PATCH",
    path: "/providers/:id",
    audience: "admin",
    summary: "Changes a provider. An omitted secret stays; if the address changes, the secret is required",
    body: providerChange,
    gives: providerAnswer,
    async handle({ params, body: { secret, settings: given, ...change }, ...call }) {
      const { store, signIn } = call.context;
      const before = found(await store.providers.find(params.id!), "provider");
      const settings = given && checkSettings(before.kind, given);
      if (
        settings && before.sealedSecret !== null && secret === undefined &&
        addressOf(settings) !== addressOf(before.settings)
      ) {
        throw new ApiError(400, "secret-needed", "the address has changed: enter the secret again", "secret");
      }
      const after = await store.transaction(async (records) => {
        const after = found(
          await records.providers.change(before.id, {
            ...(change.name !== undefined && { name: change.name }),
            ...(change.enabled !== undefined && { enabled: change.enabled }),
            ...(settings && { settings }),
            ...(secret !== undefined && {
              sealedSecret: secret === null ? null : signIn.seal.seal(secret, placeOfSecret(before.id)),
            }),
          }),
          "provider",
        );
        await audit(call, "provider.change", `provider:${before.id}`, {
          ...change,
          ...(settings && { settings }),
          ...(secret !== undefined && { secret: "changed" }),
        }, records);
        return after;
      });
      return providerJson(after, signIn.sync);
    },
  }),
  route({
    method: "DELETE",
    path: "/providers/:id",
    mayPend: true,
    audience: "admin",
    summary: "Removes a provider and its groups. Its users stay, but cannot sign in with it",
    status: 204,
    async handle({ params, ...call }) {
      const { store, peers } = call.context;
      const { id, name } = found(await store.providers.find(params.id!), "provider");
      const users: string[] = [];
      await peers.change({ users }, () =>
        keepAnAdmin(call.context, async (records) => {
          users.push(...await records.groups.memberIdsOfProvider(id));
          found(await records.providers.remove(id) || undefined, "provider");
          await audit(call, "provider.remove", `provider:${id}`, { name }, records);
        }));
    },
  }),
  route({
    method: "POST",
    path: "/providers/:id/try",
    audience: "admin",
    summary: "Shows what a provider returns for a name and what would follow from it. Nothing is changed",
    body: v.strictObject({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(256)) }),
    gives: triedAnswer,
    async handle({ params, body: { name }, context }) {
      return await tryProvider(
        context,
        found(await context.store.providers.find(params.id!), "provider"),
        name,
      );
    },
  }),
  route({
    method: "POST",
    path: "/providers/:id/sync",
    audience: "admin",
    summary: "Compares a directory now; `confirm` accepts an answer that cuts many people",
    body: v.strictObject({ confirm: v.optional(v.boolean()) }),
    gives: syncAnswer,
    async handle({ params, body: { confirm = false }, ...call }) {
      const { store, signIn } = call.context;
      const provider = found(await store.providers.find(params.id!), "provider");
      if (provider.kind !== "ldap") throw new ApiError(409, "no-directory", "only directories are compared");
      if (confirm) await audit(call, "provider.confirm", `provider:${provider.id}`, { name: provider.name });
      return syncJson(await signIn.sync.run(provider, confirm));
    },
  }),
];

/** @throws {ApiError} If the settings cannot work. */
function checkSettings(kind: ProviderKind, given: unknown): Record<string, unknown> {
  const parsed = v.safeParse(kind === "ldap" ? ldapSettings : oidcSettings, given);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const field = v.getDotPath(issue) ?? "settings";
    throw new ApiError(400, "bad-request", `"${field}": ${issue.message}`, field);
  }
  try {
    if ("issuer" in parsed.output) issuerOf(parsed.output);
    else completeLdapSettings(parsed.output);
  } catch (error) {
    if (error instanceof LdapSettingsError) {
      throw new ApiError(400, "bad-request", error.message, error.field);
    }
    if (error instanceof OidcError) throw new ApiError(400, "bad-request", error.message, "issuer");
    throw error;
  }
  return parsed.output;
}

/** Where and how a provider's secret is used. If this changes, the secret must be entered again. */
function addressOf(settings: unknown): string {
  const { url, startTls, ca, bindDn, issuer, clientId } = settings as Record<string, unknown>;
  return JSON.stringify([url, startTls ?? false, ca, bindDn, issuer, clientId]);
}

function providerJson(provider: Provider, sync: DirectorySync): v.InferOutput<typeof providerAnswer> {
  const { id, kind, name, enabled, settings, sealedSecret, createdAt } = provider;
  const status = sync.status(id);
  return {
    id,
    kind,
    name,
    enabled,
    settings: settings as Record<string, unknown>,
    hasSecret: sealedSecret !== null,
    sync: status ? syncJson(status) : null,
    createdAt: formatTime(createdAt),
  };
}

function syncJson({ at, state, said, confirmable }: SyncStatus): v.InferOutput<typeof syncAnswer> {
  const { code, text, values } = said;
  return { at: formatTime(at), state, message: text, code, values, confirmable };
}
