/**
 * An OpenID provider on loopback, and a browser that signs in there.
 *
 * @module
 */

import { createServer, type RequestListener } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
// @ts-types="./oidc_provider_types.d.ts"
import Provider from "oidc-provider";

/** How the provider knows wgd. */
export const CLIENT = { id: "wgd", secret: "the client's secret" } as const;

/** What the provider does other than by default. */
export interface ProviderOptions {
  /** How the client proves itself. @default {"client_secret_basic"} */
  readonly authentication?: "client_secret_basic" | "client_secret_post" | "none";
  /** Claims of each person besides their subject. */
  readonly claims?: (subject: string) => Record<string, unknown>;
  /** Where it listens. @default A free port. */
  readonly port?: number;
  /** Claims come in the ID token, too, and not from userinfo alone. */
  readonly inIdToken?: boolean;
}

/** A running provider. */
export class OpenIdProvider implements AsyncDisposable {
  private constructor(readonly issuer: string, readonly close: () => Promise<void>) {}

  /** Starts one that knows wgd with these addresses to come back to. */
  static async start(
    redirectUris: readonly string[],
    options: ProviderOptions = {},
  ): Promise<OpenIdProvider> {
    const { authentication = "client_secret_basic", claims = () => ({}), inIdToken = false, port = 0 } =
      options;
    let listener: RequestListener = () => {};
    const server = createServer((request, response) => listener(request, response));
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const provider = new Provider(issuer, {
      clients: [{
        client_id: CLIENT.id,
        ...(authentication !== "none" && { client_secret: CLIENT.secret }),
        redirect_uris: [...redirectUris],
        token_endpoint_auth_method: authentication,
      }],
      clientAuthMethods: [authentication],
      claims: {
        profile: ["name", "preferred_username", "groups", "realm_access"],
        email: ["email", "email_verified"],
      },
      conformIdTokenClaims: !inIdToken,
      pkce: { required: () => true },
      cookies: { keys: ["of this test"] },
      findAccount: (_: unknown, subject: string) => ({
        accountId: subject,
        claims: () => ({ sub: subject, ...claims(subject) }),
      }),
    });
    listener = provider.callback();
    return new OpenIdProvider(issuer, async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    });
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Follows an address of the provider as a browser would, signs in as somebody and agrees.
 *
 * @returns Where the provider sends the browser back to.
 */
export async function signInAt(provider: OpenIdProvider, address: string, subject: string): Promise<URL> {
  const cookies = new Map<string, string>();
  const go = async (url: string, form?: Record<string, string>) => {
    const response = await fetch(url, {
      method: form ? "POST" : "GET",
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      ...(form && { body: new URLSearchParams(form) }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
      if (value === "") cookies.delete(name!);
      else cookies.set(name!, value!);
    }
    return { text: await response.text(), location: response.headers.get("location") };
  };
  let step = await go(address);
  for (let pages = 0; pages < 12; pages++) {
    if (step.location !== null) {
      const next = new URL(step.location, provider.issuer);
      if (next.origin !== provider.issuer) return next;
      step = await go(next.href);
      continue;
    }
    const action = /<form[^>]* action="([^"]+)"/.exec(step.text)?.[1];
    if (action === undefined) throw new Error(`no form at the provider: ${step.text.slice(0, 500)}`);
    const prompt = /name="prompt" value="(\w+)"/.exec(step.text)?.[1] ?? "login";
    step = await go(new URL(action, provider.issuer).href, { prompt, login: subject, password: "any" });
  }
  throw new Error("the provider did not come to an end");
}
