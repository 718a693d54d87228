/**
 * Restores a backup as the store of a server, completely or not at all. This gives access to no tunnel, because only
 * the keeper has the keys of interfaces.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { FileError } from "../file_error.ts";
import { BackupError, isThere } from "./backup.ts";
import { databasePlace } from "./database.ts";
import { databaseFile, keeperFolder, webFolder } from "./folders.ts";
import { makeFolders } from "./make_folders.ts";
import { KeeperFiles } from "./keeper/files.ts";
import { asOwner } from "./owner.ts";
import { keptFile, restorePlace } from "./restore_place.ts";
import { KEY_FILE, Seal } from "./sign_in/seal.ts";
import { countUnreadable } from "./sign_in/sealed.ts";
import { holdFolderAlone } from "./store/hold.ts";
import { newId } from "./store/ids.ts";
import type { Network } from "./store/records.ts";
import { openUnheld } from "./store/sqlite.ts";
import { Store } from "./store/store.ts";

/** Options for restoring a backup. */
export interface RestoreOptions {
  /** Whether to replace an existing database, which is kept in another file. */
  readonly force?: boolean;
  /** Whether to make new keys for networks whose keys are missing. All their devices then need a new configuration. */
  readonly newKeys?: boolean;
  /** The URL of its database from the command line. */
  readonly database?: string | undefined;
}

/** The state of the key of a network's interface. */
export type KeyState = "same" | "other" | "missing" | "new";

/** The result. */
export interface Restored {
  readonly devices: number;
  readonly users: number;
  readonly networks: readonly { readonly name: string; readonly interface: string; readonly key: KeyState }[];
  /** Interfaces of the keeper that are not in the backup. */
  readonly strangers: readonly string[];
  /** The number of secrets of second factors and providers that secrets.key cannot decrypt. */
  readonly sealed: number;
  /** The file with the old database. */
  readonly replaced?: string;
}

/**
 * Replaces a server's database with a backup.
 *
 * @throws {BackupError} If it is not a backup, or a database exists or is in use.
 * @throws {SchemaError} If it was made by a newer wgd.
 * @throws {FileError} If the backup cannot be read.
 */
export async function restoreBackup(
  data: string,
  backup: string,
  { force = false, newKeys = false, database }: RestoreOptions,
  now: number,
): Promise<Restored> {
  // The backup is opened first, with the rights of the caller.
  using source = await Deno.open(backup).catch((error) => {
    throw new FileError("read", backup, error);
  });
  await makeFolders(data);
  const path = databaseFile(data);
  using alone = asOwner(data, () => holdFolderAlone(path));
  if (!alone) {
    throw new BackupError(`wgd web uses ${path}`, "stop it first, then start it again");
  }
  await using place = await restorePlace(data, await databasePlace(data, database), alone);
  if (place.occupied !== undefined && !force) {
    throw new BackupError(
      place.occupied,
      `to replace it with the backup: --force; the old database is then kept in ${keptFile(data)}`,
    );
  }
  await removeLeft(data);
  const aside = `${webFolder(data)}/.restore-${newId()}`;
  const undo: (() => Promise<void>)[] = [];
  try {
    await copyAside(data, source, aside);
    asOwner(data, () => requireWhole(aside, backup));
    const restored = await complete(data, aside, newKeys, undo, now);
    await place.put(aside);
    const made = restored.networks.filter(({ key }) => key === "new");
    for (const network of made) await new KeeperFiles(keeperFolder(data)).keep(network.interface);
    return { ...restored, ...(place.occupied !== undefined && { replaced: keptFile(data) }) };
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(aside + suffix).catch(() => {});
  }
}

/**
 * Removes files that killed backups and restores have left beside the database. None of these commands is running now.
 */
async function removeLeft(data: string): Promise<void> {
  for await (const { name } of Deno.readDir(webFolder(data))) {
    if (/^\.(backup|restore)-/.test(name)) await Deno.remove(`${webFolder(data)}/${name}`);
  }
}

async function copyAside(data: string, source: Deno.FsFile, aside: string): Promise<void> {
  using copy = asOwner(data, () => Deno.openSync(aside, { createNew: true, write: true, mode: 0o600 }));
  await source.readable.pipeTo(copy.writable, { preventClose: true });
}

/** @throws {BackupError} If it is not a backup of wgd, or is damaged. */
function requireWhole(path: string, backup: string): void {
  const refuse = (why: string, cause?: unknown) =>
    new BackupError(`"${backup}" is not a backup of wgd web: ${why}`, undefined, { cause });
  using database = open(path, refuse);
  const first = (sql: string) => {
    try {
      return Object.values(database.prepare(sql).get() ?? {})[0];
    } catch (error) {
      throw refuse((error as Error).message, error);
    }
  };
  const found = first("PRAGMA integrity_check(1)");
  if (found !== "ok") throw refuse(String(found));
  const tables = "'schema_version', 'networks', 'devices', 'users', 'settings'";
  if (first(`SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN (${tables})`) !== 5) {
    throw refuse("it has other tables");
  }
  // A backup has no triggers or views. They would run when the server changes something.
  if (first("SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')") !== 0) {
    throw refuse("triggers or views were added to it");
  }
  if (first("PRAGMA foreign_key_check") !== undefined) throw refuse("some of its rows are missing");
}

function open(path: string, refuse: (why: string, cause: unknown) => BackupError): DatabaseSync {
  try {
    return new DatabaseSync(path);
  } catch (error) {
    throw refuse((error as Error).message, error);
  }
}

/** Migrates the copy, and removes sessions and invitations. */
async function complete(
  data: string,
  aside: string,
  newKeys: boolean,
  undo: (() => Promise<void>)[],
  now: number,
): Promise<Restored> {
  await using store = await Store.open(asOwner(data, () => openUnheld(aside)));
  // Some may have been ended or used since the backup was made.
  await store.database.run("DELETE FROM sessions");
  await store.database.run("DELETE FROM invites WHERE used_at IS NULL");
  const files = new KeeperFiles(keeperFolder(data));
  const kept = new Map(
    await Promise.all(
      (await files.names()).map(async (name) => [name, (await files.network(name)).publicKey] as const),
    ),
  );
  const networks: { name: string; interface: string; key: KeyState }[] = [];
  for (const network of await store.networks.list()) {
    const key = await findKey(store, network, files, kept.get(network.interface), newKeys, undo);
    networks.push({ name: network.name, interface: network.interface, key });
  }
  const known = new Set(networks.map((network) => network.interface));
  await store.events.add({
    actor: "system",
    action: "store.restore",
    target: "store",
    address: null,
    detail: { newKeys: networks.filter(({ key }) => key === "new").map(({ name }) => name) },
  }, now);
  return {
    devices: await count(store, "devices"),
    users: await count(store, "users"),
    networks,
    strangers: [...kept.keys()].filter((name) => !known.has(name)),
    sealed: await countUnreadable(store, async () => {
      // Opening a missing key would create one.
      const isThereOne = await isThere(`${webFolder(data)}/${KEY_FILE}`);
      return isThereOne ? await Seal.open(webFolder(data)) : undefined;
    }),
  };
}

async function findKey(
  store: Store,
  { id, interface: name, addresses, listenPort, mtu, publicKey }: Network,
  files: KeeperFiles,
  kept: string | undefined,
  newKeys: boolean,
  undo: (() => Promise<void>)[],
): Promise<KeyState> {
  if (kept === publicKey) return "same";
  if (!newKeys) return kept === undefined ? "missing" : "other";
  let made = kept;
  if (made === undefined) {
    ({ publicKey: made } = await files.make({ interface: name, addresses, listenPort, mtu }));
    undo.push(() => files.remove(name));
  }
  await store.networks.setPublicKey(id, made);
  return "new";
}

async function count(store: Store, table: "devices" | "users"): Promise<number> {
  return Number((await store.database.get(`SELECT count(*) AS n FROM ${table}`))!.n);
}
