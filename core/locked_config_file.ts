/**
 * Configuration files on disk that are changed by one process at a time.
 *
 * @module
 */

import type { Text } from "./config/text.ts";
import { folderOf, readConfigFile } from "./config_file.ts";
import { removeAside, writeDurably } from "./durable_file.ts";
import { FileError } from "./file_error.ts";

/** Milliseconds to wait for another program's lock; our own locks take a few. */
const LOCK_TIMEOUT = 10_000;

async function lock(folder: Deno.FsFile, path: string, timeout: number): Promise<void> {
  const start = performance.now();
  while (!await folder.tryLock(true)) {
    if (performance.now() - start > timeout) {
      const why = `another program has locked ${folderOf(path)} for ${timeout / 1000} s`;
      throw new FileError("read", path, `${why}; see which: lslocks`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A configuration file, locked until it is disposed of. */
export class ConfigFile implements Disposable {
  readonly #folder: Deno.FsFile;
  readonly #content: Text;

  private constructor(readonly path: string, folder: Deno.FsFile, content: Text) {
    this.#folder = folder;
    this.#content = content;
  }

  /**
   * Locks and reads a file. A second process waits for the first.
   *
   * @param timeout Milliseconds to wait for another program.
   * @throws {FileError} If it cannot be read, or another program keeps its lock.
   */
  static async open(path: string, timeout: number = LOCK_TIMEOUT): Promise<ConfigFile> {
    // A change replaces the file, so the lock is on its folder.
    const folder = await Deno.open(folderOf(path)).catch((error) => {
      throw new FileError("read", path, error);
    });
    try {
      await lock(folder, path, timeout);
      removeAside(path);
      return new ConfigFile(path, folder, await readConfigFile(path));
    } catch (error) {
      folder.close();
      throw error;
    }
  }

  /** Its text when it was opened. */
  get text(): string {
    return this.#content.text;
  }

  /**
   * Replaces it.
   *
   * @throws {FileError} If it cannot be written; then the old file stays.
   */
  async write(text: string): Promise<void> {
    await writeDurably(this.path, this.#content.encode(text));
  }

  /** Releases the lock. */
  [Symbol.dispose](): void {
    this.#folder.close();
  }
}
