/**
 * The settings of an LDAP provider, and their checks.
 *
 * @module
 */

import { isIP } from "node:net";
import { FilterParser } from "ldapts";

/** The schema of a directory: the meaning of its attributes. */
export type DirectoryShape = "openldap" | "active-directory";

/** Settings of an LDAP provider. The password of `bindDn` is stored separately, encrypted. */
export interface LdapSettings {
  /** `ldaps://host[:port]`, or `ldap://host[:port]`, which needs `startTls` unless the host is this machine. */
  readonly url: string;
  readonly startTls?: boolean | undefined;
  /** Certificates of the authority that signed the server's, in PEM; by default those that browsers trust. */
  readonly ca?: string | undefined;
  readonly shape: DirectoryShape;
  /** The searching account; none for a directory that everybody may search. */
  readonly bindDn?: string | undefined;
  /** The base DN of people. */
  readonly baseDn: string;
  /** The filter for people who may sign in. */
  readonly userFilter?: string | undefined;
  /** The attribute that people type as their name. */
  readonly nameAttribute?: string | undefined;
  /** Whether groups are read from the person (`memberOf`) or from the groups (`member`). */
  readonly groupsBy?: "member-of" | "member" | undefined;
  /** The base DN of groups. @default `baseDn`; for Active Directory the whole domain. */
  readonly groupBaseDn?: string | undefined;
}

/** Settings with all defaults. */
export interface FullLdapSettings {
  readonly host: string;
  readonly port: number;
  readonly security: "ldaps" | "starttls" | "none";
  readonly ca: string | undefined;
  readonly bindDn: string | undefined;
  readonly baseDn: string;
  readonly userFilter: string;
  readonly nameAttribute: string;
  /** The attribute that stays the same when a person is renamed or moved. */
  readonly idAttribute: string;
  /** Whether the identifier is bytes, not text. */
  readonly binaryId: boolean;
  readonly groupsBy: "member-of" | "member";
  /** Whether groups can be nested, and a person's primary group is a number (Active Directory). */
  readonly nestedGroups: boolean;
  readonly groupBaseDn: string;
}

/** A setting is invalid. */
export class LdapSettingsError extends Error {
  override name = "LdapSettingsError";
  constructor(readonly field: keyof LdapSettings, message: string) {
    super(message);
  }
}

const SHAPES = {
  "openldap": {
    userFilter: "(objectClass=person)",
    nameAttribute: "uid",
    idAttribute: "entryUUID",
    binaryId: false,
    // A default OpenLDAP does not have the memberof overlay.
    groupsBy: "member",
    nestedGroups: false,
  },
  "active-directory": {
    // Computers are users too. The category distinguishes them.
    userFilter: "(&(objectCategory=person)(objectClass=user))",
    nameAttribute: "sAMAccountName",
    idAttribute: "objectGUID",
    binaryId: true,
    groupsBy: "member-of",
    nestedGroups: true,
  },
} as const;

/** An attribute's name: a descriptor of RFC 4512, section 1.4. */
const ATTRIBUTE = /^[A-Za-z][A-Za-z0-9-]{0,127}$/;

/**
 * Checks settings and adds the defaults of the directory's schema.
 *
 * @throws {LdapSettingsError} If they are invalid.
 */
export function completeLdapSettings(settings: LdapSettings): FullLdapSettings {
  const { host, port, security } = endpoint(settings);
  const shape = SHAPES[settings.shape];
  const baseDn = settings.baseDn.trim();
  if (baseDn === "") {
    throw new LdapSettingsError("baseDn", "the base DN is missing, such as dc=example,dc=org");
  }
  const userFilter = settings.userFilter?.trim() || shape.userFilter;
  try {
    FilterParser.parseString(userFilter);
  } catch (error) {
    throw new LdapSettingsError(
      "userFilter",
      `the user filter is not an LDAP filter: ${(error as Error).message}`,
    );
  }
  const nameAttribute = settings.nameAttribute?.trim() || shape.nameAttribute;
  if (!ATTRIBUTE.test(nameAttribute)) {
    throw new LdapSettingsError("nameAttribute", `"${nameAttribute}" is not the name of an attribute`);
  }
  if (settings.ca !== undefined && !settings.ca.includes("-----BEGIN CERTIFICATE-----")) {
    throw new LdapSettingsError("ca", "the certificate of the authority is not in PEM format");
  }
  return {
    host,
    port,
    security,
    ca: settings.ca,
    bindDn: settings.bindDn?.trim() || undefined,
    baseDn,
    userFilter,
    nameAttribute,
    idAttribute: shape.idAttribute,
    binaryId: shape.binaryId,
    groupsBy: settings.groupsBy ?? shape.groupsBy,
    nestedGroups: shape.nestedGroups,
    groupBaseDn: settings.groupBaseDn?.trim() || (shape.nestedGroups && domainOf(baseDn)) || baseDn,
  };
}

/** The domain of Active Directory that a DN lies in: its DC parts. Groups need not be where people are. */
function domainOf(dn: string): string | undefined {
  return /(?:^|,)\s*(DC\s*=[^,=]+(?:,\s*DC\s*=[^,=]+)*)$/i.exec(dn)?.[1];
}

function endpoint({ url, startTls }: LdapSettings): Pick<FullLdapSettings, "host" | "port" | "security"> {
  const match = /^(ldaps?):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/?$/.exec(url.trim());
  if (!match) {
    throw new LdapSettingsError(
      "url",
      "the address is not an LDAP address such as ldaps://directory.example.org",
    );
  }
  const [, scheme, written, digits] = match;
  const host = written!.replace(/^\[|\]$/g, "");
  const security = scheme === "ldaps" ? "ldaps" : startTls ? "starttls" : "none";
  const port = digits === undefined ? (scheme === "ldaps" ? 636 : 389) : Number(digits);
  if (port < 1 || port > 65_535) throw new LdapSettingsError("url", `${port} is not a port`);
  if (security === "none" && !isLoopback(host)) {
    throw new LdapSettingsError(
      "startTls",
      "without TLS passwords can be read on the network: turn on StartTLS, or use ldaps://",
    );
  }
  return { host, port, security };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || isIP(host) === 4 && host.startsWith("127.");
}
