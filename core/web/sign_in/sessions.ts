/**
 * Begins and ends sessions, with their cookies.
 *
 * @module
 */

import { cookieName, readCookie } from "../actor.ts";
import type { Context, RequestInfo } from "../context.ts";
import { ApiError } from "../routing.ts";
import type { Identity } from "../store/identities.ts";
import type { User } from "../store/records.ts";
import type { Records } from "../store/store.ts";
import { inactivity, wrong } from "./sign_in.ts";

/** The maximum time of a session in milliseconds. */
const LONGEST_SESSION = 7 * 86_400_000;

/**
 * Begins a session for an authenticated user. An earlier session of the browser ends, so that no identifier from before
 * the sign-in is valid after it.
 *
 * @param proved The user, and the identity with the password that was right, if there was a password.
 * @param by The provider's name, for the audit log.
 * @returns The Set-Cookie header.
 * @throws {ApiError} If the user was disabled, or the password was changed, after it was checked.
 */
export async function beginSession(
  { store, clock }: Context,
  request: Request,
  info: RequestInfo,
  proved: { readonly user: User; readonly identity?: Identity | undefined },
  by: string,
): Promise<string> {
  const now = clock();
  const { user } = proved;
  const from = { address: info.address, agent: request.headers.get("user-agent")?.slice(0, 200) };
  const token = await store.transaction(async (records) => {
    // A password may wait for its check for seconds. Whoever resets it meanwhile has ended all sessions.
    const refusal = await refusalOf(records, proved, now);
    if (refusal) {
      await records.events.add({
        actor: "nobody",
        action: "sign-in.refuse",
        target: `user:${user.id}`,
        address: info.address,
        detail: { provider: by, name: user.name },
      }, now);
      return refusal;
    }
    await endSessionOf(request, info, records, now);
    await records.sessions.sweep(now);
    const { id, token } = await records.sessions.begin(user.id, from, now, now + LONGEST_SESSION);
    await records.events.add({
      actor: `user:${user.id} ${user.name}`,
      action: "sign-in",
      target: `session:${id}`,
      address: info.address,
      detail: { provider: by },
    }, now);
    return token;
  });
  if (token instanceof ApiError) throw token;
  return setCookie(cookieName(info.secure), token, info.secure, LONGEST_SESSION / 1_000);
}

/** @returns Why the user may not sign in any more. */
async function refusalOf(
  { users, identities }: Records,
  { user: { id }, identity }: Parameters<typeof beginSession>[3],
  now: number,
): Promise<ApiError | undefined> {
  const user = await users.find(id);
  const current = identity && await identities.find(identity.providerId, identity.subject);
  if (!user || current?.secretHash !== identity?.secretHash) return wrong();
  return inactivity(user, now);
}

async function endSessionOf(
  request: Request,
  info: RequestInfo,
  { sessions }: Records,
  now: number,
): Promise<void> {
  const token = readCookie(request.headers.get("cookie"), cookieName(info.secure));
  const before = token === undefined ? undefined : await sessions.find(token, now);
  if (before) await sessions.end(before.userId, before.id);
}

/** The header that deletes the browser's session cookie. */
export function forgetCookie({ secure }: RequestInfo): string {
  return setCookie(cookieName(secure), "", secure, 0);
}

/**
 * A Set-Cookie header.
 *
 * @param sameSite `Lax` for a cookie that has to come back from another site's redirect.
 * @param seconds How long the browser keeps it.
 */
export function setCookie(
  name: string,
  value: string,
  secure: boolean,
  seconds: number,
  sameSite: "Strict" | "Lax" = "Strict",
): string {
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=${sameSite}${
    secure ? "; Secure" : ""
  }`;
}
