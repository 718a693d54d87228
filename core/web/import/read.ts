/**
 * Reads the source of an import: a running interface, or a file of one of several programs, which is recognized by its
 * contents.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { isInterfaceName } from "../../config/interface_name.ts";
import { listInterfaces } from "../../client/listing.ts";
import { FileError } from "../../file_error.ts";
import { findFile } from "../../quick/source.ts";
import { type Found, ImportError } from "./found.ts";
import { readRunning, readWgQuickFile } from "./wg_quick.ts";
import { readWgEasyDatabase, readWgEasyJson } from "./wg_easy.ts";
import { dashboardInterfaces, readWgDashboard } from "./wgdashboard.ts";
import { readWireguardUi } from "./wireguard_ui.ts";

/** Programs whose files can be read. */
export const SOURCES = ["wg-quick", "wg-easy", "wireguard-ui", "wgdashboard"] as const;
/** One of them. */
export type Source = typeof SOURCES[number];

/** Further options of the command line. */
export interface ReadOptions {
  readonly from?: Source | undefined;
  readonly network?: string | undefined;
  /** The interface's file, if the database does not contain it. */
  readonly config?: string | undefined;
}

/**
 * Reads a server.
 *
 * @throws {ImportError} If it has an unexpected format.
 * @throws {FileError} If it cannot be read.
 */
export async function readServer(word: string, options: ReadOptions): Promise<Found> {
  const { from, config } = options;
  if (from === undefined && isInterfaceName(word) && (await listInterfaces()).includes(word)) {
    return await readRunning(word, config);
  }
  const info = await Deno.stat(word).catch(() => undefined);
  const path = info ? word : await findFile(word);
  if (info?.isDirectory) return await expect(from, "wireguard-ui", path, () => readWireguardUi(path));
  const bytes = await Deno.readFile(path).catch((error) => {
    throw new FileError("read", path, error);
  });
  const text = new TextDecoder().decode(bytes.subarray(0, 16));
  if (text.startsWith("SQLite format 3")) return await readDatabase(path, options);
  if (/^\s*\{/.test(text)) {
    return await expect(from, "wg-easy", path, () => readWgEasyJson(new TextDecoder().decode(bytes), path));
  }
  return await expect(from, "wg-quick", path, () => readWgQuickFile(path));
}

/** Reads a copy, because the program may be using the database. */
async function readDatabase(path: string, { from, network, config }: ReadOptions): Promise<Found> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-import-" });
  try {
    await Deno.copyFile(path, `${folder}/copy.db`);
    await Deno.copyFile(`${path}-wal`, `${folder}/copy.db-wal`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    using database = new DatabaseSync(`${folder}/copy.db`);
    const isEasy = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'clients_table'").get();
    if (isEasy) return await expect(from, "wg-easy", path, () => readWgEasyDatabase(database, path));
    if (dashboardInterfaces(database).length > 0) {
      return await expect(
        from,
        "wgdashboard",
        path,
        () => readWgDashboard(database, path, network, config),
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  throw new ImportError(`${path} is a database of neither wg-easy nor WGDashboard`);
}

async function expect(
  from: Source | undefined,
  shape: Source,
  path: string,
  read: () => Found | Promise<Found>,
): Promise<Found> {
  if (from !== undefined && from !== shape) {
    throw new ImportError(`${path} is from ${shape}, not from ${from}`);
  }
  return await read();
}
