/**
 * An OpenID provider that responds with any ID token that a test makes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** The parts of a token. */
export interface Forgery {
  /** Changes of the header. `undefined` removes a member. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** Changes of the claims. `undefined` removes a member. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** The signature. @default With the provider's own key. */
  readonly signature?: (input: string, keys: Keys) => string;
  /** Changes of the metadata. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Changes of the response of userinfo. */
  readonly userinfo?: Readonly<Record<string, unknown>>;
}

/** The provider's keys. */
export interface Keys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Signs as the provider does. */
export function rs256(input: string, { privateKey }: Pick<Keys, "privateKey">): string {
  return sign("sha256", Buffer.from(input), privateKey).toString("base64url");
}

/** Signs with a key of P-256. */
export function es256(input: string, { privateKey: key }: Pick<Keys, "privateKey">): string {
  return sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
}

/** Signs with a shared secret. */
export function hs256(input: string, secret: string | Uint8Array): string {
  return createHmac("sha256", secret).update(input).digest("base64url");
}

/** Another key, which the provider does not publish. */
export function otherKeys(): Keys {
  return generateKeyPairSync("rsa", { modulusLength: 2048 });
}

/** A running provider. */
export class ForgingProvider implements AsyncDisposable {
  forgery: Forgery = {};
  /** The nonce of the current sign-in. */
  nonce = "";
  /** Whether its keys cannot be read. */
  hidesKeys = false;
  #keys = otherKeys();
  #published = { kid: "1", alg: "RS256" };
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(readonly clientId: string) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { pathname } = new URL(request.url);
      switch (pathname) {
        case "/.well-known/openid-configuration":
          return Response.json(this.#metadata());
        case "/keys": {
          if (this.hidesKeys) return new Response("no", { status: 503 });
          const key = this.#keys.publicKey.export({ format: "jwk" });
          return Response.json({ keys: [{ ...key, ...this.#published, use: "sig" }] });
        }
        case "/token":
          return Response.json({ access_token: "x", token_type: "Bearer", id_token: this.#token() });
        case "/userinfo":
          return Response.json({ sub: "anna", ...this.forgery.userinfo });
        default:
          return new Response(null, { status: 404 });
      }
    });
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Publishes another key only. @returns The old one. */
  changeKeys(kid: string, alg: "RS256" | "ES256" = "RS256"): Keys {
    const old = this.#keys;
    this.#keys = alg === "RS256" ? otherKeys() : generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#published = { kid, alg };
    return old;
  }

  /** The address to which the provider redirects the browser. */
  back(location: string, more: Readonly<Record<string, string>> = {}): string {
    const query = new URL(location).searchParams;
    this.nonce = query.get("nonce")!;
    const url = new URL(query.get("redirect_uri")!);
    url.search = `${new URLSearchParams({ code: "code", state: query.get("state")!, ...more })}`;
    return url.pathname + url.search;
  }

  #metadata() {
    const { issuer } = this;
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      jwks_uri: `${issuer}/keys`,
      id_token_signing_alg_values_supported: ["RS256"],
      ...this.forgery.metadata,
    };
  }

  #token(): string {
    const now = Math.floor(Date.now() / 1_000);
    const header = { alg: "RS256", typ: "JWT", kid: this.#published.kid, ...this.forgery.header };
    const claims = {
      ...{ iss: this.issuer, aud: this.clientId, sub: "anna", nonce: this.nonce, iat: now, exp: now + 60 },
      preferred_username: "anna",
      ...this.forgery.claims,
    };
    const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${input}.${(this.forgery.signature ?? rs256)(input, this.#keys)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
