/**
 * What the server refuses, in the words of the page: no refusal reaches a reader in English alone.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { routes } from "../../../core/web/routes/mod.ts";
import { MESSAGES as GERMAN } from "../../../core/web/page/messages/de.ts";
import { MESSAGES as ENGLISH } from "../../../core/web/page/messages/en.ts";
import { whyNotBehind } from "../../../core/web/routed_network.ts";
import type { SyncAction } from "../../../core/web/sign_in/sync_decisions.ts";
import { ldapSettings, oidcSettings } from "../../../core/web/sign_in/provider_access.ts";

const CORE = new URL("../../../core/web/", import.meta.url);
const LANGUAGES = { en: ENGLISH, de: GERMAN } as Record<string, Record<string, unknown>>;

/** Parts of a schema of valibot that have fields in them. */
interface Schema {
  readonly type?: string;
  readonly entries?: Record<string, Schema>;
  readonly wrapped?: Schema;
  readonly item?: Schema;
  readonly pipe?: readonly Schema[];
  readonly options?: readonly (Schema | string)[];
}

/** Fields that somebody types: those that are chosen, or that programs send, cannot be wrong on the page. */
function typed(schema: Schema, into: Set<string>): void {
  for (const [name, field] of Object.entries(schema.entries ?? {})) {
    if (isTyped(field)) into.add(name);
    typed(field, into);
  }
  const parts = [schema.wrapped, schema.item, ...schema.pipe ?? [], ...schema.options ?? []];
  for (const part of parts) if (typeof part === "object" && part !== schema) typed(part, into);
}

function isTyped(schema: Schema): boolean {
  if (schema.type === "string" || schema.type === "number") return true;
  const parts = [schema.wrapped, schema.item, ...schema.pipe ?? [], ...schema.options ?? []];
  return parts.some((part) => typeof part === "object" && part !== schema && isTyped(part));
}

async function* sources(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory && name !== "page") yield* sources(new URL(`${name}/`, folder));
    if (name.endsWith(".ts")) yield await Deno.readTextFile(new URL(name, folder));
  }
}

/** All matches of a pattern in the server's sources. */
async function written(pattern: RegExp): Promise<string[][]> {
  const all: string[][] = [];
  for await (const text of sources(CORE)) {
    all.push(...[...text.matchAll(pattern)].map(([, ...found]) => found));
  }
  return all;
}

function missing(keys: Iterable<string>): string[] {
  return Object.entries(LANGUAGES).flatMap(([language, messages]) =>
    [...keys].filter((key) => !Object.hasOwn(messages, key)).map((key) => `${language}: ${key}`)
  );
}

Deno.test("messages: both languages have the same texts, with the same values in them", () => {
  const values = (message: unknown) =>
    [...new Set([...JSON.stringify(message).matchAll(/\{(\w+)\}/g)].map(([, name]) => name))].sort();
  deepEqual(Object.keys(GERMAN).sort(), Object.keys(ENGLISH).sort());
  for (const [key, message] of Object.entries(ENGLISH)) {
    deepEqual(values((GERMAN as Record<string, unknown>)[key]), values(message), key);
  }
});

Deno.test("messages: no text is in two files", async () => {
  for (const [language, messages] of Object.entries(LANGUAGES)) {
    let count = 0;
    for await (const { name } of Deno.readDir(new URL(`page/messages/${language}/`, CORE))) {
      const areas = Object.values(await import(new URL(`page/messages/${language}/${name}`, CORE).href));
      for (const area of areas) count += Object.keys(area as object).length;
    }
    equal(count, Object.keys(messages).length, language);
  }
});

Deno.test("messages: every error code of the server has a text", async () => {
  const codes = new Set((await written(/new ApiError\(\s*\d+,\s*"([a-z-]+)"/g)).map(([code]) => code!));
  ok(codes.size > 25, `${codes.size} codes were found`);
  deepEqual(missing([...codes].map((code) => `error.${code}`)), []);
});

Deno.test("messages: every field has a text for its error", async () => {
  const fields = new Set<string>();
  for (const schema of [...routes.map(({ body }) => body), ldapSettings, oidcSettings]) {
    typed((schema ?? {}) as Schema, fields);
  }
  for (const [field] of await written(/new LdapSettingsError\(\s*"(\w+)"/g)) fields.add(field!);
  for (const [field] of await written(/"bad-request",[^;]*?"([a-zA-Z]+)",?\s*\)/g)) fields.add(field!);
  ok(fields.size > 25, [...fields].join());
  deepEqual(missing([...fields].map((field) => `error.bad-request.${field}`)), []);
});

Deno.test("messages: every value that a request changes has a name for the activity", () => {
  const fields = new Set<string>();
  const schemas = routes.filter(({ method }) => method === "PATCH").map(({ body }) => body);
  for (const schema of [...schemas, ldapSettings, oidcSettings]) typed((schema ?? {}) as Schema, fields);
  ok(fields.size > 25, [...fields].join());
  deepEqual(missing([...fields].map((field) => `detail.${field}`)), []);
});

Deno.test("messages: every field that can be in use has a text", async () => {
  const fields = new Set(
    (await written(/new TakenError\((?:[^;]*?),\s*"([a-zA-Z]+)"\)/g)).map(([field]) => field!),
  );
  ok(fields.size >= 4, [...fields].join());
  deepEqual(missing([...fields].map((field) => `error.taken.${field}`)), []);
});

Deno.test("messages: every reason why a network cannot be behind a device has a text", () => {
  const reasons = ["here", "0.0.0.0/0", "127.0.0.1"].map(whyNotBehind);
  deepEqual(reasons, ["no-network", "too-large", "reserved"]);
  const overlaps = ["list", "device", "network"].map((kind) => `overlaps-${kind}`);
  const all = [...reasons, ...overlaps, "too-large-together", "needs-one"];
  deepEqual(missing(all.map((code) => `routedNetworks.${code}`)), []);
});

Deno.test("messages: every action in the audit log has a text", async () => {
  const calls = /(?:\b(?:audit|note\w*)\(|\baction:)[^"`;{}]*?"([a-z]+(?:[.-][a-z-]+)*)"/g;
  const actions = new Set((await written(calls)).map(([action]) => action!));
  for (const kind of ["disable", "enable", "groups"] satisfies SyncAction["kind"][]) {
    actions.add(`user.${kind}`);
  }
  ok(actions.size > 30, [...actions].join());
  deepEqual(missing([...actions].map((action) => `action.${action}`)), []);
});

Deno.test("messages: no error, comparison or trial shows the server's own text, which is English", () => {
  for (const [language, messages] of Object.entries(LANGUAGES)) {
    const shown = Object.entries(messages).filter(([key, text]) =>
      /^(error|sync|try|fault)\./.test(key) && String(text).includes("{message}")
    );
    deepEqual(shown, [], language);
  }
});

Deno.test("messages: a number before a word in the plural has a form for one", () => {
  // Limits of passwords and "{n} of {max}" are never one.
  const fixed = ["setup.password-hint", "users.new-password-hint", "mine.count"];
  const plural = /\{n\} (\p{L}+s|Geräte|Sekunden|Tage|Mitglieder)\b/u;
  for (const [language, messages] of Object.entries(LANGUAGES)) {
    const wrong = Object.entries(messages).filter(([key, text]) =>
      typeof text === "string" && plural.test(text) && !fixed.includes(key)
    );
    deepEqual(wrong, [], language);
  }
});
