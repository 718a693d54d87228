/**
 * The schemas of the API's requests and responses. They check requests and generate the OpenAPI document.
 *
 * @module
 */

import * as v from "valibot";
import { isZeroKey, parseKey } from "../config/key.ts";
import { LONGEST_NAME } from "./store/records.ts";

/** A name that a user chooses: one line, without space at its ends. */
export const nameText = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(LONGEST_NAME),
  v.check(
    (text) => text.trim() === text && !/\p{C}/u.test(text),
    "a name must be one line without spaces at its ends",
  ),
);

/** A public key in base64. */
export const publicKeyText = v.pipe(
  v.string(),
  v.check((text) => {
    const key = parseKey(text);
    return key !== null && !isZeroKey(key);
  }, "a public key has 32 bytes, written as 44 characters of base64"),
);

/** A time as ISO 8601 text. */
export const timeText = v.pipe(
  v.string(),
  v.maxLength(40),
  v.check(
    (text) => /^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(Date.parse(text)),
    "a time is written as 2026-01-31T12:00:00Z",
  ),
);

/** Milliseconds since 1970 of such a text; null and undefined stay. */
export function readTime<T extends string | null | undefined>(
  text: T,
): T extends string ? number : T {
  return (typeof text === "string" ? Date.parse(text) : text) as T extends string ? number : T;
}

/** The text of a time; null stays null. */
export function formatTime(time: number): string;
export function formatTime(time: number | null): string | null;
export function formatTime(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

/** A change that is stored, and has not reached an interface yet. */
export const pendingAnswer = v.object({
  pending: v.object({ code: v.literal("keeper"), message: v.string() }),
});

/** Every error. */
export const errorAnswer = v.object({
  error: v.object({
    code: v.string(),
    message: v.string(),
    field: v.optional(v.string()),
    detail: v.optional(v.object({ code: v.string(), values: v.record(v.string(), v.string()) })),
  }),
});

/** A reference to an object with its name. */
export const named = v.object({ id: v.string(), name: v.string() });

/** The rights of a user. */
export const role = v.picklist(["user", "admin"]);

/** A device. */
export const deviceAnswer = v.object({
  id: v.string(),
  network: named,
  name: v.string(),
  owner: v.nullable(named),
  publicKey: v.string(),
  addresses: v.array(v.string()),
  /** Networks that the server reaches through the device. */
  routedNetworks: v.array(v.string()),
  state: v.picklist(["online", "idle", "never", "expired", "disabled"]),
  reason: v.nullable(v.string()),
  createdAt: v.string(),
  expiresAt: v.nullable(v.string()),
  endpoint: v.nullable(v.string()),
  lastHandshake: v.nullable(v.string()),
  rxBytes: v.number(),
  txBytes: v.number(),
});

/** A part of a list. */
export function pageOf<S extends v.GenericSchema>(item: S) {
  return v.object({ items: v.array(item), next: v.nullable(v.string()), total: v.number() });
}

/** A number in a query. */
export const numberText = v.pipe(
  v.string(),
  v.check((text) => /^\d{1,9}$/.test(text), "a whole number"),
  v.transform(Number),
);
