/**
 * Sends a browser to an OpenID provider and handles its return. The state in between is in an encrypted cookie of the
 * browser, so that the server stores nothing for browsers that never come back.
 *
 * @module
 */

import { readCookie } from "../actor.ts";
import type { Context, RequestInfo } from "../context.ts";
import type { Provider } from "../store/providers.ts";
import { admit } from "./admission.ts";
import { OidcError, type OidcJourney } from "./oidc.ts";
import { SealError } from "./seal.ts";
import { beginSession, setCookie } from "./sessions.ts";
import { charge, noteRefusal, requireActive } from "./sign_in.ts";
import { ApiError } from "../routing.ts";

/** Seconds within which the browser must come back. */
const LIFE = 600;
/** The purpose of the encrypted cookie. */
const PLACE = "OpenID journey";

interface Kept extends OidcJourney {
  readonly provider: string;
  readonly until: number;
}

/** Sends a browser to a provider. */
export async function beginJourney(context: Context, info: RequestInfo, id: string): Promise<Response> {
  try {
    const attempt = charge(context, info, undefined);
    const provider = await requireProvider(context, id);
    const client = await context.signIn.oidc.get(provider);
    const { url, journey } = await client.begin(redirectUri(info, provider));
    const kept: Kept = { ...journey, provider: provider.id, until: context.clock() + LIFE * 1_000 };
    const sealed = context.signIn.seal.seal(JSON.stringify(kept), PLACE);
    // Lax: the provider's redirect comes from another site.
    const cookie = setCookie(cookieName(info), sealed, info.secure, LIFE, "Lax");
    attempt.cancel();
    return redirect(url, cookie);
  } catch (error) {
    return failed(context, info, error);
  }
}

/** Handles the return of a browser, and begins its session. */
export async function endJourney(
  context: Context,
  request: Request,
  info: RequestInfo,
  id: string,
): Promise<Response> {
  try {
    const attempt = charge(context, info, undefined);
    const provider = await requireProvider(context, id);
    const kept = readKept(context, request, info);
    if (kept?.provider !== provider.id) {
      throw new OidcError(
        "did not sign you in",
        new Error("the sign-in took too long, or was begun in another browser"),
      );
    }
    const client = await context.signIn.oidc.get(provider);
    const current = new URL(redirectUri(info, provider));
    current.search = new URL(request.url).search;
    const person = await client.finish(current, kept);
    attempt.succeeded();
    const { user, changed } = await admit(context.store, provider, person, context.clock());
    if (changed) await context.peers.apply({ users: [user.id] });
    try {
      requireActive(user, context.clock());
    } catch (error) {
      await noteRefusal(context, info, "sign-in.refuse", user.name, provider, user);
      throw error;
    }
    const response = redirect("/", setCookie(cookieName(info), "", info.secure, 0, "Lax"));
    response.headers.append(
      "set-cookie",
      await beginSession(context, request, info, { user }, provider.name),
    );
    return response;
  } catch (error) {
    return failed(context, info, error);
  }
}

async function requireProvider({ store }: Context, id: string): Promise<Provider> {
  const provider = await store.providers.find(id);
  if (provider?.kind === "oidc" && provider.enabled) return provider;
  throw new OidcError("is not known", new Error("there is no such sign-in provider"));
}

/** The provider must know this address. */
function redirectUri({ secure, host }: RequestInfo, { id }: Provider): string {
  return `${secure ? "https" : "http"}://${host}/sign-in/oidc/${id}/callback`;
}

function cookieName({ secure }: RequestInfo): string {
  return secure ? "__Host-wgd-oidc" : "wgd-oidc";
}

function readKept({ signIn, clock }: Context, request: Request, info: RequestInfo): Kept | undefined {
  const sealed = readCookie(request.headers.get("cookie"), cookieName(info));
  if (sealed === undefined) return undefined;
  try {
    const kept: Kept = JSON.parse(signIn.seal.open(sealed, PLACE));
    return kept.until >= clock() ? kept : undefined;
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    return undefined;
  }
}

function redirect(location: string, cookie: string): Response {
  return new Response(null, { status: 303, headers: { location, "set-cookie": cookie } });
}

/** Redirects the browser to the page, which has a text for the code. The reason is logged, within the budget. */
function failed({ log }: Context, info: RequestInfo, error: unknown): Response {
  if (!(error instanceof ApiError && error.code === "too-many-attempts")) {
    log(`sign-in by OpenID: ${error instanceof Error ? error.message : String(error)}`);
  }
  const code = error instanceof ApiError ? error.code : "provider-failed";
  return redirect(`/#sign-in-failed=${code}`, setCookie(cookieName(info), "", info.secure, 0, "Lax"));
}
