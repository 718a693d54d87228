/**
 * Sign-in with a password of a local account or of a directory.
 *
 * @module
 */

import type { Context, RequestInfo } from "../context.ts";
import { ApiError } from "../routing.ts";
import { type Identity, LOCAL } from "../store/identities.ts";
import type { Provider } from "../store/providers.ts";
import { StoredError } from "../stored_error.ts";
import type { User } from "../store/records.ts";
import { admit } from "./admission.ts";
import { type Attempt, Budgets } from "./budgets.ts";
import { ACCOUNT_FAULTS } from "./ldap_account.ts";
import { signInByLdap } from "./ldap.ts";
import { DirectoryError } from "./ldap_connection.ts";
import { BusyError, Passwords } from "./passwords.ts";
import { ldapOf, OidcProviders } from "./provider_access.ts";
import { type Seal, SealError } from "./seal.ts";
import { act } from "./provider_act.ts";
import { DirectorySync, type SyncContext } from "./sync.ts";
import { checkTotp } from "./totp.ts";

/** The parts that sign-in needs. */
export class SignIn implements AsyncDisposable {
  readonly passwords: Passwords;
  readonly budgets: Budgets;
  readonly seal: Seal;
  readonly oidc: OidcProviders;
  readonly sync: DirectorySync;
  /** Second factors during their setup, by user. */
  readonly setups = new Map<string, { readonly secret: Uint8Array; readonly until: number }>();

  constructor(context: SyncContext, passwords: Passwords = new Passwords()) {
    this.passwords = passwords;
    this.budgets = new Budgets(context.clock);
    this.seal = context.seal;
    this.oidc = new OidcProviders(context.seal, context.clock);
    this.sync = new DirectorySync(context);
  }

  /** Stops its thread and its timer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.passwords[Symbol.dispose]();
    await this.sync[Symbol.asyncDispose]();
  }
}

/** The input of a sign-in. */
export interface Credentials {
  /** `LOCAL` or a provider's identifier. The default is the local account of that name, else the only directory. */
  readonly provider?: string | undefined;
  readonly name: string;
  readonly password: string;
  /** The code of the second factor. */
  readonly code?: string | undefined;
}

/** A person with a correct password. */
export interface Proved {
  readonly user: User;
  readonly identity: Identity;
}

/**
 * Checks a password and the second factor, if there is one.
 *
 * @throws {ApiError} `wrong-sign-in`, `code-needed`, `account-disabled`, `too-many-attempts`, `provider-unavailable`.
 */
export async function signInByPassword(
  context: Context,
  info: RequestInfo,
  credentials: Credentials,
): Promise<Proved> {
  const provider = await chooseProvider(context, credentials);
  const attempt = charge(context, info, `${provider?.id ?? LOCAL} ${credentials.name}`);
  const proved = provider
    ? await byDirectory(context, info, provider, credentials, attempt)
    : await byLocalAccount(context, credentials, attempt);
  if (!proved) {
    await noteRefusal(context, info, "sign-in.refuse", credentials.name, provider);
    throw wrong();
  }
  const { user, identity } = proved;
  try {
    requireActive(user, context.clock());
  } catch (error) {
    await noteRefusal(context, info, "sign-in.refuse", credentials.name, provider, user);
    throw error;
  }
  try {
    await requireCode(context, identity, credentials.code);
  } catch (error) {
    await noteRefusal(context, info, "sign-in.refuse-code", credentials.name, provider, user);
    throw error;
  }
  attempt.succeeded();
  return proved;
}

/** Charges the budgets. @throws {ApiError} If they are used up. */
export function charge({ signIn }: Context, { address }: RequestInfo, account: string | undefined): Attempt {
  const attempt = signIn.budgets.charge(account, address);
  if (!("retryAfter" in attempt)) return attempt;
  const { retryAfter } = attempt;
  throw new ApiError(
    429,
    "too-many-attempts",
    `too many attempts; try again in ${retryAfter} seconds`,
    undefined,
    undefined,
    { "retry-after": String(retryAfter) },
  );
}

/** @throws {ApiError} If a user is disabled or has expired. Must be called only after authentication. */
export function requireActive(user: User, now: number): void {
  const error = inactivity(user, now);
  if (error) throw error;
}

/** The error for a user who is disabled or has expired. */
export function inactivity(user: User, now: number): ApiError | undefined {
  if (user.disabledAt !== null) {
    const why = user.reason === null ? "" : `: ${user.reason}`;
    return new ApiError(403, "account-disabled", `this account is disabled${why}`);
  }
  if (user.expiresAt !== null && user.expiresAt <= now) {
    return new ApiError(403, "account-disabled", "this account has expired");
  }
  return undefined;
}

async function chooseProvider(
  { store }: Context,
  { provider, name }: Credentials,
): Promise<Provider | undefined> {
  if (provider === LOCAL) return undefined;
  const directories = (await store.providers.list()).filter(({ kind, enabled }) =>
    kind === "ldap" && enabled
  );
  if (provider !== undefined) {
    const chosen = directories.find(({ id }) => id === provider);
    if (!chosen) {
      throw new ApiError(400, "bad-request", "there is no such sign-in provider", "provider");
    }
    return chosen;
  }
  const user = directories.length === 1 ? await store.users.findByName(name) : undefined;
  const isLocal = user !== undefined && await store.identities.find(LOCAL, user.id) !== undefined;
  return directories.length === 1 && !isLocal ? directories[0] : undefined;
}

async function byLocalAccount(
  { store, signIn }: Context,
  { name, password }: Credentials,
  attempt: Attempt,
): Promise<Proved | undefined> {
  const user = await store.users.findByName(name);
  const identity = user && await store.identities.find(LOCAL, user.id);
  try {
    const right = await signIn.passwords.verify(password, identity?.secretHash ?? undefined);
    return right ? { user: user!, identity: identity! } : undefined;
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    attempt.cancel();
    throw new ApiError(503, "busy", error.message, undefined, undefined, { "retry-after": "5" });
  }
}

async function byDirectory(
  context: Context,
  info: RequestInfo,
  provider: Provider,
  { name, password }: Credentials,
  attempt: Attempt,
): Promise<Proved | undefined> {
  const { store, signIn, clock, log, peers } = context;
  const wanted = (await store.groups.ofProvider(provider.id)).map(({ subject }) => subject);
  let answer;
  try {
    const { settings, password: bindPassword } = ldapOf(provider, signIn.seal);
    answer = await signInByLdap(settings, bindPassword, { name, password, wanted, now: clock });
  } catch (error) {
    if (!(error instanceof DirectoryError || error instanceof SealError)) throw error;
    attempt.cancel();
    log(`directory ${provider.name}: ${error.message}`);
    throw new ApiError(
      503,
      "provider-unavailable",
      `${provider.name} cannot be reached at the moment; try again later`,
    );
  }
  if (answer.outcome === "wrong") return undefined;
  if (answer.outcome === "disabled") {
    const reason = ACCOUNT_FAULTS[answer.person.disabled!];
    const known = await store.identities.find(provider.id, answer.person.subject);
    const user = known && await store.users.find(known.userId);
    if (user && user.disabledBy === null) {
      const action = { kind: "disable", user: user.id, reason } as const;
      await peers.change(
        { users: [user.id] },
        () => store.transaction((records) => act(records, provider, action, clock())),
      ).catch((error) => {
        // The tunnel is cut later. The sign-in is refused in any case.
        if (!(error instanceof StoredError)) throw error;
      });
    }
    await noteRefusal(context, info, "sign-in.refuse", name, provider, user);
    throw new ApiError(403, "account-disabled", reason);
  }
  const { user, identity, changed } = await admit(store, provider, answer.person, clock());
  if (changed) await peers.apply({ users: [user.id] });
  return { user, identity };
}

async function requireCode(
  { store, signIn, clock }: Context,
  identity: Identity,
  code?: string,
): Promise<void> {
  const { id, sealedTotp, lastTotp } = identity;
  if (sealedTotp === null) return;
  if (code === undefined || code === "") {
    throw new ApiError(401, "code-needed", "the code of your authenticator app is needed", "code");
  }
  const step = checkTotp(openTotp(signIn.seal, sealedTotp, id), code, clock(), lastTotp);
  // If two requests use one code at the same time, the store accepts only one.
  if (step === undefined || !await store.identities.useTotp(id, step)) throw wrong();
}

/**
 * Decrypts the secret of a second factor.
 *
 * @throws {ApiError} If it was encrypted with another key, so that no code can be checked.
 */
export function openTotp(seal: Seal, sealed: string, identityId: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(seal.open(sealed, placeOfTotp(identityId)));
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new ApiError(
      503,
      "second-factor-lost",
      "the server cannot check second factors any more; an administrator can turn yours off",
    );
  }
}

/** The place of a second factor's secret, for its encryption. */
export function placeOfTotp(identityId: string): string {
  return `totp ${identityId}`;
}

/** The same error for a wrong name, a wrong password and a wrong code. */
export function wrong(): ApiError {
  return new ApiError(401, "wrong-sign-in", "the name, the password or the code is wrong");
}

/** Logs a refused sign-in. */
export async function noteRefusal(
  { store, clock }: Context,
  { address }: RequestInfo,
  action: string,
  name: string,
  provider: Provider | undefined,
  user?: User,
): Promise<void> {
  await store.events.add({
    actor: "nobody",
    action,
    target: user ? `user:${user.id}` : null,
    address,
    // An unknown name is not logged, because people type passwords into the wrong field.
    detail: { provider: provider?.name ?? LOCAL, ...(user && { name }) },
  }, clock());
}
