/**
 * Signing in and out.
 *
 * @module
 */

import * as v from "valibot";
import { audit } from "../audit.ts";
import { type Route, route } from "../routing.ts";
import { LOCAL } from "../store/identities.ts";
import { beginSession, forgetCookie } from "../sign_in/sessions.ts";
import { signInByPassword } from "../sign_in/sign_in.ts";
import { meAnswer, meJson } from "./me.ts";

const credentials = v.strictObject({
  provider: v.optional(v.pipe(v.string(), v.maxLength(64))),
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(256)),
  password: v.pipe(v.string(), v.minLength(1), v.maxLength(1_024)),
  code: v.optional(v.pipe(v.string(), v.maxLength(20))),
});

/** Their routes. */
export const signInRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/sign-in/providers",
    audience: "public",
    summary: "Lists the sign-in providers",
    gives: v.array(
      v.object({ id: v.string(), kind: v.picklist(["local", "ldap", "oidc"]), name: v.string() }),
    ),
    async handle({ context: { store } }) {
      const providers = (await store.providers.list()).filter(({ enabled }) => enabled);
      return [
        { id: LOCAL, kind: "local", name: "wgd" },
        ...providers.map(({ id, kind, name }) => ({ id, kind, name })),
      ];
    },
  }),
  route({
    method: "GET",
    path: "/session",
    audience: "public",
    summary: "Shows the signed-in user, or null. It is not an error if nobody is signed in",
    gives: v.object({ me: v.nullable(meAnswer) }),
    async handle({ actor, context }) {
      return { me: actor.kind === "user" ? await meJson(context, actor.user) : null };
    },
  }),
  route({
    method: "POST",
    path: "/sign-in",
    audience: "public",
    summary: "Signs in with a password, and sets the session's cookie",
    body: credentials,
    gives: meAnswer,
    async handle({ body, context, request, info }) {
      const proved = await signInByPassword(context, info, body);
      const cookie = await beginSession(context, request, info, proved, body.provider ?? "password");
      return Response.json(await meJson(context, proved.user), { headers: { "set-cookie": cookie } });
    },
  }),
  route({
    method: "POST",
    path: "/sign-out",
    audience: "user",
    summary: "Ends the session",
    async handle({ actor, ...call }) {
      if (actor.kind === "user") {
        await call.context.store.transaction(async (records) => {
          await records.sessions.end(actor.user.id, actor.session.id);
          await audit({ actor, ...call }, "sign-out", `session:${actor.session.id}`, {}, records);
        });
      }
      return new Response(null, { status: 204, headers: { "set-cookie": forgetCookie(call.info) } });
    },
  }),
];
