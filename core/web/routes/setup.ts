/**
 * The first start.
 *
 * @module
 */

import * as v from "valibot";
import { changeTogether, interfacesOf } from "../interfaces.ts";
import { ApiError, type Route, route } from "../routing.ts";
import { nameText } from "../schemas.ts";
import { begin, isSetupToken, needsSetup, useSetupToken } from "../setup.ts";
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
    summary: "Shows whether this server has to be set up",
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
      const { store, signIn, keeper, clock, settling } = context;
      requireGoodPassword(admin.password, [admin.name]);
      // Checked before the slow hash. The transaction decides which request uses the token.
      if (!await isSetupToken(store, token)) throw refused();
      const { name } = admin;
      const passwordHash = await signIn.passwords.hash(admin.password);
      const now = clock();
      const user = await changeTogether(store, interfacesOf(keeper), async (records) => {
        if (!await useSetupToken(records, token)) return undefined;
        const begun = {
          interfaces: interfacesOf(keeper),
          // A network may already have been imported.
          network: (await records.networks.list()).length === 0 ? wantedNetwork(network) : undefined,
          admin: { name, passwordHash },
        };
        return await begin(records, begun, { actor: "setup", address: info.address }, now);
      }, settling);
      if (!user) throw refused();
      const cookie = await beginSession(context, request, info, { user }, "setup");
      return Response.json(await meJson(context, user), { headers: { "set-cookie": cookie } });
    },
  }),
];

function refused(): ApiError {
  return new ApiError(403, "setup-refused", "this setup link has been used, or a newer one has been made");
}
