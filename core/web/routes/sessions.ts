/**
 * The user's own sessions, password and second factor.
 *
 * @module
 */

import * as v from "valibot";
import { audit } from "../audit.ts";
import { ApiError, type Call, found, type Route, route } from "../routing.ts";
import { formatTime } from "../schemas.ts";
import { type Identity, LOCAL } from "../store/identities.ts";
import type { Session } from "../store/records.ts";
import { flawOf } from "../sign_in/passwords.ts";
import { beginSession } from "../sign_in/sessions.ts";
import { charge, openTotp, placeOfTotp } from "../sign_in/sign_in.ts";
import { base32, checkTotp, newTotpSecret, totpUri } from "../sign_in/totp.ts";
import { userOf } from "./me.ts";

/** A new password. `requireGoodPassword` checks it. */
export const passwordText = v.pipe(v.string(), v.maxLength(1_024));

const codeText = v.pipe(v.string(), v.maxLength(20));

/** Milliseconds in which an authenticator app has to be set up. */
const SETUP_TIME = 15 * 60_000;

/** A session. */
export const sessionAnswer = v.object({
  id: v.string(),
  createdAt: v.string(),
  lastSeenAt: v.string(),
  expiresAt: v.string(),
  address: v.nullable(v.string()),
  userAgent: v.nullable(v.string()),
  /** Whether it is the session of this request. */
  current: v.boolean(),
});

/** A session in responses. */
export function sessionJson(
  session: Session,
  current: string | undefined,
): v.InferOutput<typeof sessionAnswer> {
  const { id, createdAt, usedAt, expiresAt, address, agent } = session;
  return {
    id,
    createdAt: formatTime(createdAt),
    lastSeenAt: formatTime(usedAt),
    expiresAt: formatTime(expiresAt),
    address,
    userAgent: agent,
    current: id === current,
  };
}

/** @throws {ApiError} If a password is not good enough. */
export function requireGoodPassword(
  password: string,
  names: readonly (string | null)[],
  field = "password",
): void {
  const flaw = flawOf(password, names.filter((name) => name !== null));
  if (flaw !== undefined) throw new ApiError(400, "weak-password", flaw, field);
}

/** Their routes. */
export const sessionRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/me/sessions",
    audience: "user",
    summary: "Lists the user's own sessions",
    gives: v.array(sessionAnswer),
    async handle({ context: { store, clock }, ...call }) {
      const user = userOf(call);
      const current = call.actor.kind === "user" ? call.actor.session.id : undefined;
      return (await store.sessions.listOf(user.id, clock())).map((session) => sessionJson(session, current));
    },
  }),
  route({
    method: "DELETE",
    path: "/me/sessions/:id",
    audience: "user",
    summary: "Ends one of the user's own sessions",
    status: 204,
    async handle({ params, ...call }) {
      const { store } = call.context;
      await store.transaction(async (records) => {
        found(await records.sessions.end(userOf(call).id, params.id!) || undefined, "session");
        await audit(call, "session.end", `session:${params.id}`, {}, records);
      });
    },
  }),
  route({
    method: "POST",
    path: "/me/password",
    audience: "user",
    summary: "Changes the user's password, and ends all other sessions",
    body: v.strictObject({ old: passwordText, new: passwordText }),
    async handle({ body, request, ...call }) {
      const { context, info } = call;
      const user = userOf(call);
      const identity = await context.store.identities.find(LOCAL, user.id);
      if (!identity) {
        throw new ApiError(409, "no-password", "your sign-in provider manages your password");
      }
      await requirePassword(call, identity, body.old);
      requireGoodPassword(body.new, [user.name, user.email], "new");
      const hash = await context.signIn.passwords.hash(body.new);
      await context.store.transaction(async (records) => {
        if (!await records.identities.replacePassword(identity, hash)) throw wrongPassword();
        await records.sessions.endAll(user.id);
        await audit(call, "user.password", `user:${user.id}`, {}, records);
      });
      const cookie = await beginSession(
        context,
        request,
        info,
        { user, identity: { ...identity, secretHash: hash } },
        "password change",
      );
      return new Response(null, { status: 204, headers: { "set-cookie": cookie } });
    },
  }),
  route({
    method: "POST",
    path: "/me/totp",
    audience: "user",
    summary: "Begins to set up a second factor; with its first code, turns it on",
    body: v.strictObject({ code: v.optional(codeText) }),
    gives: v.object({ secret: v.string(), uri: v.string() }),
    async handle({ body: { code }, ...call }) {
      const { store, signIn, clock } = call.context;
      const user = userOf(call);
      const identity = await ownIdentity(call);
      if (identity.sealedTotp !== null) throw new ApiError(409, "taken", "a second factor is already set up");
      if (code === undefined) {
        const secret = newTotpSecret();
        signIn.setups.set(user.id, { secret, until: clock() + SETUP_TIME });
        return { secret: base32(secret), uri: totpUri(secret, user.name, "wgd") };
      }
      const setup = signIn.setups.get(user.id);
      if (!setup || setup.until < clock()) {
        throw new ApiError(409, "no-setup", "the setup took too long; begin again");
      }
      const step = checkTotp(setup.secret, code, clock(), null);
      if (step === undefined) throw new ApiError(400, "wrong-code", "the code is wrong", "code");
      const sealed = signIn.seal.seal(setup.secret.toBase64(), placeOfTotp(identity.id));
      await store.transaction(async (records) => {
        await records.identities.setTotp(identity.id, sealed);
        await records.identities.useTotp(identity.id, step);
        await audit(call, "user.totp-on", `user:${user.id}`, {}, records);
      });
      signIn.setups.delete(user.id);
      return new Response(null, { status: 204 });
    },
  }),
  route({
    method: "DELETE",
    path: "/me/totp",
    audience: "user",
    summary: "Turns off the user's second factor; this needs a code",
    body: v.strictObject({ code: codeText }),
    status: 204,
    async handle({ body: { code }, ...call }) {
      const { store, signIn, clock } = call.context;
      const user = userOf(call);
      const { id, sealedTotp, lastTotp } = await ownIdentity(call);
      if (sealedTotp === null) throw new ApiError(409, "no-totp", "there is no second factor");
      const attempt = charge(call.context, call.info, `totp ${user.id}`);
      const secret = openTotp(signIn.seal, sealedTotp, id);
      if (checkTotp(secret, code, clock(), lastTotp) === undefined) {
        throw new ApiError(400, "wrong-code", "the code is wrong", "code");
      }
      attempt.succeeded();
      await store.transaction(async (records) => {
        await records.identities.setTotp(id, null);
        await audit(call, "user.totp-off", `user:${user.id}`, {}, records);
      });
    },
  }),
];

/** The identity that the second factor belongs to. For a user who signs in only with OpenID, the provider checks it. */
async function ownIdentity(call: Pick<Call, "actor" | "context">): Promise<Identity> {
  const identities = await call.context.store.identities.ofUser(userOf(call).id);
  const identity = identities.find(({ kind }) => kind === "local") ??
    identities.find(({ kind }) => kind === "ldap");
  if (identity) return identity;
  throw new ApiError(409, "no-password", "your sign-in provider manages the second factor");
}

async function requirePassword(
  { context, info }: Pick<Call, "context" | "info">,
  { userId, secretHash }: Identity,
  password: string,
): Promise<void> {
  const attempt = charge(context, info, `password ${userId}`);
  if (!await context.signIn.passwords.verify(password, secretHash ?? undefined)) {
    throw wrongPassword();
  }
  attempt.succeeded();
}

function wrongPassword(): ApiError {
  return new ApiError(400, "wrong-password", "the password is wrong", "old");
}
