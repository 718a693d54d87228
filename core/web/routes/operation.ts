/**
 * Routes for operators: tokens, the audit log, settings, a backup, the description of the API.
 *
 * @module
 */

import * as v from "valibot";
import { audit } from "../audit.ts";
import { openApi } from "../openapi.ts";
import { found, type Route, route } from "../routing.ts";
import { sharedBody } from "../unread_body.ts";
import { formatTime, nameText, numberText, pageOf, readTime, timeText } from "../schemas.ts";
import { type AuditEvent, SCOPES, type Token } from "../store/records.ts";
import { routes } from "./mod.ts";

const scopes = v.pipe(v.array(v.picklist(SCOPES)), v.minLength(1));

const tokenAnswer = v.object({
  id: v.string(),
  name: v.string(),
  scopes: v.array(v.picklist(SCOPES)),
  createdAt: v.string(),
  expiresAt: v.nullable(v.string()),
  usedAt: v.nullable(v.string()),
});

const actorAnswer = v.object({ kind: v.string(), id: v.optional(v.string()), name: v.optional(v.string()) });

const eventAnswer = v.object({
  id: v.number(),
  at: v.string(),
  actor: actorAnswer,
  action: v.string(),
  target: v.nullable(v.string()),
  address: v.nullable(v.string()),
  before: v.nullable(v.record(v.string(), v.unknown())),
  after: v.nullable(v.record(v.string(), v.unknown())),
  previousHash: v.string(),
  hash: v.string(),
});

const settingsAnswer = v.object({
  /** The most devices that a user may add. */
  maxDevices: v.number(),
  /** SHA-256, as browsers show it; null behind a proxy. */
  fingerprint: v.nullable(v.string()),
  /** When the certificate expires; null behind a proxy. */
  certificateEnds: v.nullable(v.string()),
  /** Why the certificate could not be renewed; null if there is no problem. */
  certificateProblem: v.nullable(v.string()),
});

/** Their routes. */
export const operationRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/tokens",
    audience: "admin",
    summary: "Lists API tokens, without their secrets",
    gives: v.array(tokenAnswer),
    async handle({ context: { store } }) {
      return (await store.tokens.list()).map(tokenJson);
    },
  }),
  route({
    method: "POST",
    path: "/tokens",
    audience: "admin",
    summary: "Makes an API token. Only this response contains it",
    body: v.strictObject({ name: nameText, scopes, expiresAt: v.optional(timeText) }),
    status: 201,
    gives: v.object({ ...tokenAnswer.entries, token: v.string() }),
    async handle({ body, ...call }) {
      const { store, clock } = call.context;
      const { name, scopes } = body;
      const { token, secret } = await store.transaction(async (records) => {
        const made = await records.tokens.add(name, scopes, clock(), readTime(body.expiresAt));
        await audit(call, "token.add", `token:${made.token.id}`, { name, scopes }, records);
        return made;
      });
      return { ...tokenJson(token), token: secret };
    },
  }),
  route({
    method: "DELETE",
    path: "/tokens/:id",
    audience: "admin",
    summary: "Removes an API token; it becomes invalid at once",
    status: 204,
    async handle({ params, ...call }) {
      await call.context.store.transaction(async (records) => {
        found(await records.tokens.remove(params.id!) || undefined, "token");
        await audit(call, "token.remove", `token:${params.id}`, {}, records);
      });
    },
  }),
  route({
    method: "GET",
    path: "/events",
    audience: "admin",
    summary: "The audit log, the newest line first. Each line has the hash of the previous one",
    query: v.strictObject({ cursor: v.optional(v.string()), limit: v.optional(numberText) }),
    gives: pageOf(eventAnswer),
    async handle({ query: { cursor, limit = 100 }, context: { store } }) {
      const page = await store.events.list(cursor, Math.min(Math.max(limit, 1), 1000));
      return { ...page, items: page.items.map(eventJson) };
    },
  }),
  route({
    method: "GET",
    path: "/settings",
    audience: "admin",
    summary: "Shows the settings",
    gives: settingsAnswer,
    async handle({ context: { store, certificate } }) {
      return {
        maxDevices: await store.settings.maxDevices(),
        fingerprint: certificate?.fingerprint ?? null,
        certificateEnds: formatTime(certificate?.expiresAt ?? null),
        certificateProblem: certificate?.problem ?? null,
      };
    },
  }),
  route({
    method: "PATCH",
    path: "/settings",
    audience: "admin",
    summary: "Changes the settings",
    body: v.strictObject({ maxDevices: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1000)) }),
    status: 204,
    async handle({ body: { maxDevices }, ...call }) {
      const { store } = call.context;
      await store.transaction(async (records) => {
        const before = await records.settings.maxDevices();
        await records.settings.set("maxDevices", String(maxDevices));
        const detail = { before: { maxDevices: before }, after: { maxDevices } };
        await audit(call, "settings.change", "settings", detail, records);
      });
    },
  }),
  route({
    method: "POST",
    path: "/backup",
    audience: "admin",
    summary:
      "A copy of the store: an SQLite database, web/wgd.db of the server's folder. It does not contain the keys of the interfaces",
    async handle(call) {
      await audit(call, "backup", "store");
      const file = await call.context.backup();
      const headers = {
        "content-type": "application/octet-stream",
        "content-disposition": 'attachment; filename="wgd.backup"',
      };
      return new Response(file, { headers });
    },
  }),
  route({
    method: "GET",
    path: "/openapi.json",
    audience: "public",
    summary: "This description of the API (OpenAPI 3.1)",
    handle() {
      // Anybody can request it, so it is made once.
      description ??= new TextEncoder().encode(JSON.stringify(openApi(routes)));
      const headers = { "content-type": "application/json" };
      return Promise.resolve(new Response(sharedBody(description), { headers }));
    },
  }),
];

/** The description of the API as JSON. */
let description: Uint8Array<ArrayBuffer> | undefined;

function tokenJson(
  { id, name, scopes, createdAt, expiresAt, usedAt }: Token,
): v.InferOutput<typeof tokenAnswer> {
  return {
    id,
    name,
    scopes: [...scopes],
    createdAt: formatTime(createdAt),
    expiresAt: formatTime(expiresAt),
    usedAt: formatTime(usedAt),
  };
}

function eventJson(event: AuditEvent): v.InferOutput<typeof eventAnswer> {
  const { number, time, actor, action, target, address, detail, previousHash, hash } = event;
  const [, kind, id, name] = /^(\w+)(?::(\S+))?(?: (.*))?$/s.exec(actor) ?? [, actor];
  const { before, after } = detail as Record<string, Record<string, unknown> | undefined>;
  return {
    id: number,
    // Somebody may have changed it in the database to what is no time.
    at: formatTime(Number.isNaN(new Date(time).getTime()) ? 0 : time),
    actor: { kind: kind!, ...(id && { id }), ...(name && { name }) },
    action,
    target,
    address,
    before: before ?? null,
    after: after ?? (before ? null : detail),
    previousHash,
    hash,
  };
}
