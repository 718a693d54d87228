/**
 * Configuration files on disk: read whole, and changed by one at a time.
 *
 * @module
 */

import { decodeText, type Text } from "./config/text.ts";
import { folderOf, removeAside, writeDurably } from "./durable_file.ts";
import { FileError } from "./file_error.ts";

/** A hundred thousand peers take 20 MB; what is larger is no configuration, or has no end. */
const LARGEST = 64 << 20;

/**
 * Reads a configuration file to its end, be it a pipe or a device.
 *
 * @throws {FileError} If it cannot be read, or does not end.
 */
export async function readConfigFile(path: string): Promise<Text> {
  return decodeText(await readConfigBytes(path));
}

/** As `readConfigFile`, for who looks at the bytes. */
export async function readConfigBytes(path: string): Promise<Uint8Array> {
  try {
    using file = await Deno.open(path);
    let bytes = new Uint8Array(1 << 16);
    let length = 0;
    for (;;) {
      const read = await file.read(bytes.subarray(length));
      if (read === null) return bytes.subarray(0, length);
      length += read;
      if (length > LARGEST) {
        throw new Error(`it is larger than ${LARGEST >> 20} MiB, which no configuration is`);
      }
      if (length < bytes.length) continue;
      const larger = new Uint8Array(2 * length);
      larger.set(bytes);
      bytes = larger;
    }
  } catch (error) {
    throw new FileError("read", path, error);
  }
}

/** How long another program may keep us from a file, in milliseconds; ours need a few. */
const PATIENCE = 10_000;

async function lock(folder: Deno.FsFile, path: string, patience: number): Promise<void> {
  const start = performance.now();
  while (!await folder.tryLock(true)) {
    if (performance.now() - start > patience) {
      const why = `another program has locked ${folderOf(path)} for ${patience / 1000} s`;
      throw new FileError("read", path, `${why}; see which: lslocks`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A configuration file, and the right to change it until it is disposed of. */
export class ConfigFile implements Disposable {
  readonly #folder: Deno.FsFile;
  readonly #content: Text;

  private constructor(readonly path: string, folder: Deno.FsFile, content: Text) {
    this.#folder = folder;
    this.#content = content;
  }

  /**
   * Opens and reads a file. Two at once wait for each other.
   *
   * @param patience Milliseconds to wait for another program.
   * @throws {FileError} If it cannot be read, or another program does not let go of it.
   */
  static async open(path: string, patience: number = PATIENCE): Promise<ConfigFile> {
    // The file is replaced when it is changed, so the lock is on its folder.
    const folder = await Deno.open(folderOf(path)).catch((error) => {
      throw new FileError("read", path, error);
    });
    try {
      await lock(folder, path, patience);
      removeAside(path);
      return new ConfigFile(path, folder, await readConfigFile(path));
    } catch (error) {
      folder.close();
      throw error;
    }
  }

  /** What it said when it was opened. */
  get text(): string {
    return this.#content.text;
  }

  /**
   * Replaces it.
   *
   * @throws {FileError} If it cannot be written; then it is as it was.
   */
  async write(text: string): Promise<void> {
    await writeDurably(this.path, this.#content.encode(text));
  }

  /** Gives the right back. */
  [Symbol.dispose](): void {
    this.#folder.close();
  }
}
