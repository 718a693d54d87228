/**
 * An OpenID provider for a host of the lab; run by page_providers_test.ts. Its arguments are its port, and where it sends
 * browsers back to.
 *
 * @module
 */

import { OpenIdProvider } from "../../unit/web/openid_provider.ts";

const [port, redirectUri] = Deno.args;
const provider = await OpenIdProvider.start([redirectUri!], {
  port: Number(port),
  claims: (subject) => ({
    preferred_username: subject,
    email: `${subject}@example.org`,
    groups: ["vpn", "chess"],
  }),
});
console.log(`ready at ${provider.issuer}`);
