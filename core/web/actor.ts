/**
 * Who sent a request.
 *
 * @module
 */

import type { Context, RequestInfo } from "./context.ts";
import type { Scope, Session, Token, User } from "./store/records.ts";

/** Who sent a request. */
export type Actor =
  | { readonly kind: "user"; readonly user: User; readonly session: Session }
  | { readonly kind: "token"; readonly token: Token; readonly scopes: readonly Scope[] }
  | { readonly kind: "nobody" };

/** Milliseconds without a request after which a session ends. */
const LONGEST_PAUSE = 24 * 3_600_000;
/** Milliseconds between two updates of the last use of a session or token. */
const TOUCH_EVERY = 60_000;

/**
 * Name of the session's cookie. The prefix restricts it to this host and to encrypted connections (RFC 6265bis,
 * 4.1.3.2).
 */
export function cookieName(secure: boolean): string {
  return secure ? "__Host-wgd" : "wgd-session";
}

/** Finds the sender of a request by its `Authorization` header, else by its cookie. */
export async function authenticate(request: Request, info: RequestInfo, context: Context): Promise<Actor> {
  const { store, clock } = context;
  const now = clock();
  const authorization = request.headers.get("authorization");
  if (authorization !== null) {
    const secret = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    const token = secret === undefined ? undefined : await store.tokens.find(secret, now);
    if (!token) return { kind: "nobody" };
    if (now - (token.usedAt ?? 0) > TOUCH_EVERY) await store.tokens.touch(token.id, now);
    return { kind: "token", token, scopes: token.scopes };
  }
  const cookie = readCookie(request.headers.get("cookie"), cookieName(info.secure));
  const session = cookie === undefined ? undefined : await store.sessions.find(cookie, now);
  const user = session && await store.users.find(session.userId);
  if (session && now - session.usedAt > LONGEST_PAUSE) {
    await store.sessions.end(session.userId, session.id);
    return { kind: "nobody" };
  }
  if (!user || user.disabledAt !== null || user.expiresAt !== null && user.expiresAt <= now) {
    return { kind: "nobody" };
  }
  if (now - session.usedAt > TOUCH_EVERY) await store.sessions.touch(session.id, now);
  return { kind: "user", user, session };
}

/** The name of an actor in the audit log. */
export function actorName(actor: Actor): string {
  switch (actor.kind) {
    case "user":
      return `user:${actor.user.id} ${actor.user.name}`;
    case "token":
      return `token:${actor.token.id} ${actor.token.name}`;
    case "nobody":
      return "nobody";
  }
}

/** The value of a cookie. */
export function readCookie(header: string | null, name: string): string | undefined {
  for (const part of header?.split(";") ?? []) {
    const [key, value] = part.trim().split("=", 2);
    if (key === name && value !== undefined) return value;
  }
  return undefined;
}
