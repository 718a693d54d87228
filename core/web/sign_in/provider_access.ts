/**
 * Opens a provider of the store.
 *
 * @module
 */

import * as v from "valibot";
import type { Provider } from "../store/providers.ts";
import { isGroup } from "./ldap_groups.ts";
import { completeLdapSettings, type FullLdapSettings } from "./ldap_settings.ts";
import { OidcProvider } from "./oidc.ts";
import type { Seal } from "./seal.ts";

const line = (maximum: number) =>
  v.pipe(v.string(), v.maxLength(maximum), v.check((text) => !/\p{Cc}/u.test(text), "one line of text"));
const pem = v.pipe(v.string(), v.maxLength(100_000));

/** Settings of an LDAP provider. */
export const ldapSettings = v.strictObject({
  url: line(300),
  startTls: v.optional(v.boolean()),
  ca: v.optional(pem),
  shape: v.picklist(["openldap", "active-directory"]),
  bindDn: v.optional(line(500)),
  baseDn: line(500),
  userFilter: v.optional(line(2_000)),
  nameAttribute: v.optional(line(128)),
  groupsBy: v.optional(v.picklist(["member-of", "member"])),
  groupBaseDn: v.optional(line(500)),
});

/** Settings of an OpenID provider. */
export const oidcSettings = v.strictObject({
  issuer: line(500),
  clientId: line(500),
  ca: v.optional(pem),
  scopes: v.optional(line(500)),
  groupsClaim: v.optional(line(200)),
});

/** The place of a provider's secret, for its encryption. */
export function placeOfSecret(id: string): string {
  return `provider ${id}`;
}

/** The complete settings of an LDAP provider, and the password of its searching account. */
export function ldapOf(
  provider: Provider,
  seal: Seal,
): { settings: FullLdapSettings; password: string | undefined } {
  return {
    settings: completeLdapSettings(v.parse(ldapSettings, provider.settings)),
    password: secretOf(provider, seal),
  };
}

/** Milliseconds for which a provider's configuration is cached. */
const KEPT = 600_000;
/** Milliseconds for which a failure is cached, because anybody can cause another attempt. */
const FAILURE_KEPT = 5_000;

interface Known {
  readonly from: string;
  readonly provider: Promise<OidcProvider>;
  /** The time of the answer, or of the request. */
  at: number;
  life: number;
}

/** OpenID providers with a cached configuration. */
export class OidcProviders {
  readonly #known = new Map<string, Known>();
  readonly #seal: Seal;
  readonly #now: () => number;

  constructor(seal: Seal, now: () => number) {
    this.#seal = seal;
    this.#now = now;
  }

  /** Returns a provider with its cached configuration, or reads it. @throws {OidcError} */
  get(provider: Provider): Promise<OidcProvider> {
    const known = this.#known.get(provider.id);
    const age = known ? this.#now() - known.at : NaN;
    // The clock may have been set back.
    if (known?.from === fingerprint(provider) && age >= 0 && age < known.life) return known.provider;
    return this.read(provider);
  }

  /** Reads a provider's configuration even if it is cached, because an administrator wants to know. @throws {OidcError} */
  read(provider: Provider): Promise<OidcProvider> {
    const read = OidcProvider.discover(
      v.parse(oidcSettings, provider.settings),
      secretOf(provider, this.#seal),
    );
    const from = fingerprint(provider);
    const entry: Known = { from, provider: read, at: this.#now(), life: KEPT };
    this.#known.set(provider.id, entry);
    read.catch(() => Object.assign(entry, { at: this.#now(), life: FAILURE_KEPT }));
    return read;
  }
}

/** What a provider's configuration was read with. */
function fingerprint({ settings, sealedSecret }: Provider): string {
  return JSON.stringify([settings, sealedSecret]);
}

function secretOf({ id, sealedSecret }: Provider, seal: Seal): string | undefined {
  return sealedSecret === null ? undefined : seal.open(sealedSecret, placeOfSecret(id));
}

/** The groups of this server that stand for a provider's groups. */
export function groupsFor<Group extends { readonly subject: string }>(
  kind: Provider["kind"],
  names: readonly string[],
  groups: readonly Group[],
): Group[] {
  const same = kind === "ldap" ? isGroup : (found: string, wanted: string) => found === wanted;
  return groups.filter(({ subject }) => names.some((name) => same(name, subject)));
}
