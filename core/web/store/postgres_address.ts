/**
 * Parses the URL of a PostgreSQL database, and the file with its password.
 *
 * @module
 */

/** The address and the user of a database. */
export interface PostgresAddress {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string | undefined;
  /** Undefined without TLS. */
  readonly tls?: PostgresTls | undefined;
}

/** How the server is verified. */
export interface PostgresTls {
  /** False if it is not verified. */
  readonly rejectUnauthorized: boolean;
  /** A file with its authority. The default is the system's authorities. */
  readonly caFile?: string | undefined;
}

/** A text is not the URL of a database. */
export class PostgresAddressError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "PostgresAddressError";
}

const DEFAULT_PORT = 5432;
/** The default user and database. */
const DEFAULT_NAME = "wgd";
/** The folder of the socket on Debian and other systems. */
const DEFAULT_HOST = "/run/postgresql";

const MODES = ["disable", "require", "verify-full"];

/**
 * Reads `postgres://[user[:password]@][host][:port][/database][?host=…&sslmode=…&sslrootcert=…]`, as libpq does.
 *
 * Unlike libpq, this requires by default that a server on another machine proves its identity.
 *
 * @throws {PostgresAddressError} If it is not such a URL.
 */
export function parsePostgresAddress(text: string): PostgresAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw new PostgresAddressError("not the URL of a database; write it as postgres://user@host/database");
  }
  const options = new Map(url.searchParams);
  const take = (name: string) => {
    const value = options.get(name);
    options.delete(name);
    return value;
  };
  const host = take("host") ?? (decode(url.hostname).replace(/^\[(.*)\]$/, "$1") || DEFAULT_HOST);
  const mode = take("sslmode");
  const caFile = take("sslrootcert");
  const [unknown] = options.keys();
  if (unknown !== undefined) {
    throw new PostgresAddressError(`unknown parameter "${unknown}" in the URL of the database`);
  }
  if (mode !== undefined && !MODES.includes(mode)) {
    throw new PostgresAddressError(`sslmode must be one of ${MODES.join(", ")}`);
  }
  const user = decode(url.username) || DEFAULT_NAME;
  const password = decode(url.password);
  return {
    host,
    port: Number(url.port || DEFAULT_PORT),
    database: decode(url.pathname.slice(1)) || DEFAULT_NAME,
    user,
    ...(password !== "" && { password }),
    ...tlsOf(host, mode, caFile),
  };
}

function tlsOf(
  host: string,
  mode: string | undefined,
  caFile: string | undefined,
): { readonly tls: PostgresTls } | undefined {
  if (host.startsWith("/")) {
    if (mode === undefined && caFile === undefined) return undefined;
    throw new PostgresAddressError("a Unix socket has no TLS");
  }
  if (caFile !== undefined) {
    if (mode !== undefined && mode !== "verify-full") {
      throw new PostgresAddressError("sslrootcert needs sslmode=verify-full");
    }
    return { tls: { rejectUnauthorized: true, caFile } };
  }
  if (mode === undefined ? isHere(host) : mode === "disable") return undefined;
  return { tls: { rejectUnauthorized: mode !== "require" } };
}

function isHere(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new PostgresAddressError("the URL of the database contains a % that does not encode a character");
  }
}

/** Writes the URL of an address, without its password. */
export function formatPostgresAddress({ host, port, database, user, tls }: PostgresAddress): string {
  const options = new URLSearchParams();
  const isSocket = host.startsWith("/");
  if (tls?.caFile !== undefined) options.set("sslrootcert", tls.caFile);
  else if (tls) options.set("sslmode", tls.rejectUnauthorized ? "verify-full" : "require");
  else if (!isSocket && !isHere(host)) options.set("sslmode", "disable");
  const shown = host.includes(":") ? `[${host}]` : encodeURIComponent(host);
  const place = `${encodeURIComponent(user)}@${shown}${port === DEFAULT_PORT ? "" : `:${port}`}`;
  const query = options.size === 0 ? "" : `?${options}`;
  return `postgres://${place}/${encodeURIComponent(database)}${query}`;
}

/**
 * The password of an address in a password file (PostgreSQL's manual, section 34.16): lines of
 * `host:port:database:user:password`, in which `*` stands for anything.
 *
 * @param text The file.
 */
export function findPassword(
  text: string,
  { host, port, database, user }: PostgresAddress,
): string | undefined {
  // For a socket in its default folder libpq uses "localhost".
  const hosts = host === DEFAULT_HOST || host === "/var/run/postgresql" ? [host, "localhost"] : [host];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = line.match(/(?:[^:\\]|\\.)*(?::|$)/g)?.map((field) =>
      field.replace(/:$/, "").replaceAll(/\\(.)/g, "$1")
    ) ?? [];
    const [itsHost, itsPort, itsDatabase, itsUser, password] = fields;
    if (password === undefined || fields.length < 5) {
      continue;
    }
    const fits = (field: string | undefined, ...values: string[]) =>
      field === "*" || values.includes(field!);
    if (
      fits(itsHost, ...hosts) && fits(itsPort, `${port}`) && fits(itsDatabase, database) &&
      fits(itsUser, user)
    ) return password;
  }
  return undefined;
}
