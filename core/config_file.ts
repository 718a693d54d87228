/**
 * Reads whole configuration files.
 *
 * @module
 */

import { decodeText, type Text } from "./config/text.ts";
import { FileError } from "./file_error.ts";

/** A hundred thousand peers take 20 MB. A larger file is not a configuration, or is endless. */
const LARGEST = 64 << 20;

/**
 * Reads a configuration file to its end; it may be a pipe or a device.
 *
 * @throws {FileError} If it cannot be read, or is too large.
 */
export async function readConfigFile(path: string): Promise<Text> {
  return decodeText(await readConfigBytes(path));
}

/** Reads the bytes of a configuration file, as `readConfigFile` does. */
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
        throw new Error(`it is larger than ${LARGEST >> 20} MiB, so it is not a configuration`);
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

/** The folder of a file. (The first import of a `node:` module, such as node:path, takes 8 ms of a start.) */
export function folderOf(path: string): string {
  return path.includes("/") ? path.replace(/\/[^/]*$/, "") || "/" : ".";
}
