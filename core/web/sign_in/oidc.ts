/**
 * Sign-in by an OpenID provider: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, section 3.1).
 *
 * @module
 */

import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  type CustomFetch,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  None,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from "openid-client";
import { code } from "../english.ts";
import type { Fault } from "./fault.ts";
import { discoveryFault, MissingMetadataError } from "./oidc_fault.ts";

/** Settings of an OpenID provider. The client's secret is stored separately, encrypted. */
export interface OidcSettings {
  /** Its address, below which `/.well-known/openid-configuration` has all other settings. */
  readonly issuer: string;
  readonly clientId: string;
  /** Certificates of the authority that signed the provider's, in PEM; by default those that browsers trust. */
  readonly ca?: string | undefined;
  /** Requested scopes in addition to `openid`. @default {"profile email"} */
  readonly scopes?: string | undefined;
  /** The claim with the names of groups. Dots separate nested names, as in `realm_access.roles`. @default {"groups"} */
  readonly groupsClaim?: string | undefined;
}

/** A person as an OpenID provider describes them. */
export interface OidcPerson {
  /** Issuer and subject. E-mail addresses and names may change, and may belong to another person later. */
  readonly subject: string;
  readonly name: string;
  readonly displayName: string | null;
  /** Null if the provider reports that it has not verified the address. */
  readonly email: string | null;
  readonly groups: readonly string[];
}

/** The state until the browser comes back. Only this browser has it. */
export interface OidcJourney {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** A provider did not answer, or its answer is not valid. */
export class OidcError extends Error {
  override name = "OidcError";
  constructor(action: string, override readonly cause: unknown) {
    super(`the OpenID provider ${action}: ${reasonOf(cause)}`, { cause });
  }
}

/** A provider's configuration cannot be read. */
export class OidcDiscoveryError extends OidcError {
  override name = "OidcDiscoveryError";
  constructor(
    action: string,
    cause: unknown,
    /** The same for people who use the page. */
    readonly fault: Fault,
  ) {
    super(action, cause);
  }
}

/** Seconds for each answer of the provider. */
const ANSWER = 10;

/** A provider whose configuration has been read. */
export class OidcProvider {
  readonly #configuration: Configuration;
  readonly #settings: OidcSettings;

  private constructor(configuration: Configuration, settings: OidcSettings) {
    this.#configuration = configuration;
    this.#settings = settings;
  }

  /**
   * Reads a provider's configuration.
   *
   * @param secret The client's secret; none for a public client, which only PKCE protects.
   * @throws {OidcDiscoveryError} If it cannot be read, or belongs to another issuer.
   */
  static async discover(settings: OidcSettings, secret: string | undefined): Promise<OidcProvider> {
    const issuer = issuerOf(settings);
    try {
      const configuration = await discovery(issuer, settings.clientId, undefined, authentication(secret), {
        timeout: ANSWER,
        ...(settings.ca !== undefined && { [customFetch]: trusting(settings.ca) }),
        execute: [
          // The library otherwise checks no signature, because TLS has authenticated the provider (section 3.1.3.7, 6).
          enableNonRepudiationChecks,
          // The library otherwise refuses HTTP without TLS. `issuerOf` allows it only for this machine.
          ...(issuer.protocol === "http:" ? [allowInsecureRequests] : []),
        ],
      });
      for (const name of ["authorization_endpoint", "jwks_uri"] as const) {
        if (configuration.serverMetadata()[name] === undefined) throw new MissingMetadataError(name);
      }
      return new OidcProvider(configuration, settings);
    } catch (error) {
      throw new OidcDiscoveryError("cannot be used", error, discoveryFault(error, issuer));
    }
  }

  /** The provider's address for signing in. */
  get authorizationEndpoint(): string {
    return this.#configuration.serverMetadata().authorization_endpoint!;
  }

  /**
   * Begins a sign-in.
   *
   * @param redirectUri The address to which the browser returns.
   * @returns The address to which to send the browser, and the state to keep until it returns.
   */
  async begin(redirectUri: string): Promise<{ url: string; journey: OidcJourney }> {
    const journey = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier() };
    const url = buildAuthorizationUrl(this.#configuration, {
      redirect_uri: redirectUri,
      scope: `openid ${this.#settings.scopes ?? "profile email"}`.trim(),
      state: journey.state,
      nonce: journey.nonce,
      code_challenge: await calculatePKCECodeChallenge(journey.verifier),
      code_challenge_method: "S256",
    });
    return { url: url.href, journey };
  }

  /**
   * Ends a sign-in: exchanges the code, and checks state, nonce, signature, issuer, audience and time.
   *
   * @param current The address that the browser came back to, with its query.
   * @throws {OidcError} If anything is wrong.
   */
  async finish(current: URL, { state, nonce, verifier }: OidcJourney): Promise<OidcPerson> {
    try {
      const tokens = await authorizationCodeGrant(this.#configuration, current, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims()!;
      let all: Record<string, unknown> = claims;
      if (this.#configuration.serverMetadata().userinfo_endpoint !== undefined) {
        // Many providers keep the ID token small and return groups only here.
        all = { ...await fetchUserInfo(this.#configuration, tokens.access_token, claims.sub), ...claims };
      }
      return personOf(claims.iss, claims.sub, all, this.#settings.groupsClaim ?? "groups");
    } catch (error) {
      throw new OidcError("did not sign you in", error);
    }
  }
}

/**
 * Reads a person from claims.
 *
 * @param groupsClaim A claim's name, or names with dots between them.
 */
export function personOf(
  issuer: string,
  subject: string,
  claims: Record<string, unknown>,
  groupsClaim: string,
): OidcPerson {
  const text = (name: string) =>
    typeof claims[name] === "string" && claims[name] !== "" ? claims[name] : null;
  const isVerified = claims["email_verified"] !== false && claims["email_verified"] !== "false";
  const email = isVerified ? text("email") : null;
  return {
    subject: JSON.stringify([issuer, subject]),
    name: text("preferred_username") ?? email ?? subject,
    displayName: text("name"),
    email,
    groups: namesIn(claimAt(claims, groupsClaim)),
  };
}

function claimAt(claims: Record<string, unknown>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function namesIn(value: unknown): string[] {
  const names = Array.isArray(value) ? value : [value];
  return [...new Set(names.filter((name): name is string => typeof name === "string" && name !== ""))];
}

/** @throws {OidcDiscoveryError} If it is not the address of an issuer. */
export function issuerOf({ issuer }: OidcSettings): URL {
  const fault = code("fault", "issuer", { issuer });
  const url = URL.parse(issuer.trim());
  if (!url || url.search !== "" || url.hash !== "" || url.username !== "" || url.password !== "") {
    throw new OidcDiscoveryError(
      "has no usable address",
      new Error(`"${issuer}" is not the address of an issuer such as https://id.example.org`),
      fault,
    );
  }
  const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback)) {
    const error = new Error("an issuer's address begins with https://");
    throw new OidcDiscoveryError("has no usable address", error, fault);
  }
  return url;
}

function authentication(secret: string | undefined): ClientAuth {
  if (secret === undefined || secret === "") return None();
  const [basic, post] = [ClientSecretBasic(secret), ClientSecretPost(secret)];
  return (server, client, body, headers) => {
    // Basic is the default of a provider (RFC 8414, section 2).
    const methods = server.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
    const method = methods.includes("client_secret_basic") || !methods.includes("client_secret_post")
      ? basic
      : post;
    return method(server, client, body, headers);
  };
}

function trusting(ca: string): CustomFetch {
  return async (url, { body, signal, ...init }) => {
    // One for each request, because nobody could tell when to close one that is kept.
    using client = Deno.createHttpClient({ caCerts: [ca] });
    const options = { ...init, body: body ?? null, signal: signal ?? null, client };
    const response = await fetch(url, options as RequestInit);
    // The client must be open until the body has arrived.
    return response.body === null ? response : new Response(await response.arrayBuffer(), response);
  };
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { error, error_description: description } = cause as { error?: unknown; error_description?: unknown };
  const said = [error, description].filter((text) => typeof text === "string").join(": ");
  const inner = cause.cause instanceof Error ? ` (${cause.cause.message})` : "";
  return said === "" ? `${cause.message}${inner}` : said;
}
