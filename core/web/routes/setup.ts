/**
 * The first start.
 *
 * @module
 */

import * as v from "valibot";
import { addNetwork } from "../networks.ts";
import { ApiError, type Route, route } from "../routing.ts";
import { nameText } from "../schemas.ts";
import { needsSetup, useSetupToken } from "../setup.ts";
import { beginSession } from "../sign_in/sessions.ts";
import { meAnswer, meJson } from "./me.ts";
import { newNetwork, wantedNetwork } from "./networks.ts";
import { passwordText, requireGoodPassword } from "./sessions.ts";

const setup = v.strictObject({
  token: v.pipe(v.string(), v.maxLength(100)),
  admin: v.strictObject({ name: nameText, password: passwordText }),
  network: newNetwork,
});

/** Their routes. */
export const setupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/setup",
    audience: "public",
    summary: "Tells whether this server has to be set up",
    gives: v.object({ needed: v.boolean() }),
    async handle({ context: { store } }) {
      return { needed: await needsSetup(store) };
    },
  }),
  route({
    method: "POST",
    path: "/setup",
    audience: "public",
    summary: "Sets this server up, with the token of the setup link, and signs the administrator in",
    body: setup,
    gives: meAnswer,
    async handle({ body: { token, admin, network }, context, request, info }) {
      const { store, signIn, clock } = context;
      requireGoodPassword(admin.password, [admin.name]);
      const user = await useSetupToken(store, token, async () => {
        const passwordHash = await signIn.passwords.hash(admin.password);
        // The network first: without an administrator, this can be tried again.
        if ((await store.networks.list()).length === 0) await addNetwork(context, wantedNetwork(network));
        return await store.users.add({ name: admin.name, role: "admin", passwordHash }, clock());
      });
      if (!user) {
        throw new ApiError(
          403,
          "setup-refused",
          "this setup link has been used, or a newer one has been made",
        );
      }
      const cookie = await beginSession(context, request, info, user, "setup");
      return Response.json(await meJson(context, user), { headers: { "set-cookie": cookie } });
    },
  }),
];
