/**
 * Selects a server's database: a file in its folder, or one on a PostgreSQL server.
 *
 * @module
 */

import { actingAs } from "../../ffi/linux/privileges.ts";
import { writeDurably } from "../durable_file.ts";
import { databaseChoice, databaseFile, passwordFile, webFolder } from "./folders.ts";
import { asOwner } from "./owner.ts";
import type { Database } from "./store/database.ts";
import { DatabaseError } from "./store/errors.ts";
import {
  findPassword,
  formatPostgresAddress,
  parsePostgresAddress,
  type PostgresAddress,
} from "./store/postgres_address.ts";
import { holdFolder } from "./store/hold.ts";
import { openSqlite } from "./store/sqlite.ts";

/** The location of a server's database. */
export type DatabasePlace =
  | { readonly kind: "sqlite"; readonly file: string }
  | { readonly kind: "postgres"; readonly address: PostgresAddress };

/**
 * Finds a server's database: from the command line, else `WGD_DATABASE`, else the file that `init` has written. The
 * default is a file in the folder.
 *
 * @param option The option of the command line.
 * @throws {PostgresAddressError} If it is not a valid URL.
 * @throws {DatabaseError} If others can read a password.
 */
export async function databasePlace(data: string, option?: string): Promise<DatabasePlace> {
  const url = option ?? (Deno.env.get("WGD_DATABASE") || await readChoice(data));
  if (url === undefined) return { kind: "sqlite", file: databaseFile(data) };
  const address = parsePostgresAddress(url);
  if (option !== undefined && address.password !== undefined) {
    throw new DatabaseError(
      "everybody on this machine can read the password on a command line",
      "put it into PGPASSFILE, or the whole URL into WGD_DATABASE",
    );
  }
  const password = address.password ?? (Deno.env.get("PGPASSWORD") || await readPassword(data, address));
  return { kind: "postgres", address: password === undefined ? address : { ...address, password } };
}

/** Stores the URL of a server's database, without its password, for later commands. Needs root. */
export async function rememberPlace(data: string, place: DatabasePlace): Promise<void> {
  if (place.kind === "sqlite") return;
  const url = formatPostgresAddress(place.address);
  if (await readChoice(data) === url) return;
  await writeDurably(databaseChoice(data), new TextEncoder().encode(`${url}\n`), { mode: 0o644 });
}

/** The paths that the database needs, for Deno's permissions: files to read, and sockets to read and write. */
export function filesOf(data: string, place: DatabasePlace): { read: string[]; write: string[] } {
  const read = [databaseChoice(data), passwordPath(data)];
  if (place.kind === "sqlite") return { read, write: [] };
  const { host, port, tls } = place.address;
  const socket = host.startsWith("/") ? [`${host}/.s.PGSQL.${port}`] : [];
  const authority = tls?.caFile === undefined ? [] : [tls.caFile];
  return { read: [...read, ...authority], write: socket };
}

/**
 * Loads the code that opens such a database. After root is given up, the program's files may not be readable.
 *
 * @param hold Prevents a restore while the database is open. By default the database does this itself.
 * @returns Opens it. Root does this with the rights of the web process's user, who owns the folder and may have made
 * links in it to root's files. PostgreSQL may also identify users by the user that opens the socket.
 */
export async function databaseOpener(
  data: string,
  place: DatabasePlace,
  hold?: Disposable,
): Promise<() => Promise<Database>> {
  if (place.kind === "sqlite") {
    return () => Promise.try(() => asOwner(data, () => openSqlite(place.file)));
  }
  const { openPostgres } = await import("./store/postgres.ts");
  return async () => {
    const held = hold ? undefined : asOwner(data, () => holdFolder(databaseFile(data)));
    if (Deno.uid() !== 0) return await openPostgres(place.address, { held });
    const { uid, gid } = await Deno.stat(webFolder(data));
    // A command that root runs makes its only connection at once.
    return await actingAs(uid!, gid!, () => openPostgres(place.address, { held, connections: 1 }));
  };
}

async function readChoice(data: string): Promise<string | undefined> {
  return (await readIfThere(databaseChoice(data)))?.trim();
}

function passwordPath(data: string): string {
  return Deno.env.get("PGPASSFILE") || passwordFile(data);
}

/** @throws {DatabaseError} If others can read the file. */
async function readPassword(data: string, address: PostgresAddress): Promise<string | undefined> {
  const path = passwordPath(data);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const { mode } = await Deno.stat(path);
  if (mode !== null && (mode & 0o077) !== 0) {
    throw new DatabaseError(`others can read the passwords in "${path}"`, `chmod 600 ${path}`);
  }
  return findPassword(text, address);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
