/**
 * Finds the interface that a word refers to: the name of a file, or of an interface that is up.
 *
 * @module
 */

import { adviseFileName, FILE_NAME_MESSAGE, nameOf, nameOfFile } from "../config/interface_name.ts";
import { splitLines } from "../config/lines.ts";
import { readSettings } from "../config/settings.ts";
import { readConfigFile } from "../config_file.ts";
import { type Journal, journals } from "./journal.ts";
import { findFile, QuickError, type QuickRunOptions, requireName } from "./source.ts";

/** The interface that a user refers to. */
export interface Target {
  /** Its name. */
  readonly name: string;
  /** Its file; undefined if it is gone. */
  readonly path: string | undefined;
}

/**
 * Finds the interface that a word refers to, for all actions except `up`. An interface is found by the file that
 * brought it up, whatever its name is, and by its name, wherever its file is.
 *
 * @throws {QuickError} If the word refers to no interface, or to several.
 */
export async function findTarget(
  word: string,
  { warn, interfaceName }: Pick<QuickRunOptions, "warn" | "interfaceName"> = {},
): Promise<Target> {
  requireName(interfaceName);
  const records = await readableJournals();
  const path = await findFile(word, warn).catch((error) => {
    if (!(error instanceof QuickError) || (interfaceName ?? nameOf(word)) === undefined) throw error;
    return undefined;
  });
  if (path !== undefined) return { name: interfaceName ?? await nameBehind(path, records), path };
  const name = interfaceName ?? nameOf(word)!;
  const record = records.find((record) => record.name === name);
  return { name, path: record && await findFile(record.file).catch(() => undefined) };
}

/** The interface of a file: the one that the file names among those that it brought up, or the one that it names. */
async function nameBehind(path: string, records: readonly Journal[]): Promise<string> {
  const file = await Deno.realPath(path);
  const up = records.filter((record) => record.file === file).map(({ name }) => name);
  const named = await nameInFile(path) ?? nameOfFile(path);
  if (named !== undefined && (up.length === 0 || up.includes(named))) return named;
  if (up.length > 1) {
    throw new QuickError(
      `\`${path}' has ${up.length} interfaces: ${up.join(", ")}`,
      `say which one is meant: --interface ${up[0]}`,
    );
  }
  if (up[0] === undefined) throw new QuickError(FILE_NAME_MESSAGE, adviseFileName(path));
  return up[0];
}

/** The interface's name that a file sets. A pipe is not read, because it can be read only once. */
async function nameInFile(path: string): Promise<string | undefined> {
  if (!(await Deno.stat(path)).isFile) return undefined;
  const { text } = await readConfigFile(path);
  return readSettings(splitLines(text), { onError: () => {} }).interface;
}

/** The records of interfaces. A damaged record is reported when it is used, and does not hide the others. */
async function readableJournals(): Promise<Journal[]> {
  return await journals().catch((error) => {
    if (!(error instanceof QuickError)) throw error;
    return [];
  });
}
