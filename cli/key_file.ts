/**
 * Reads keys from files, as `wg set` does (parse_keyfile in config.c).
 *
 * @module
 */

import { type Key, KEY_BASE64_LENGTH, KEY_LENGTH } from "../core/config/key.ts";
import { readKey, ValueError } from "../core/config/values.ts";
import { fileError } from "./failure.ts";
import { decodeLatin1 } from "./input.ts";

/**
 * Reads a key file: 44 characters and white space. An empty file or /dev/null means "no key".
 *
 * @param path The file, which may be a pipe such as a shell's `<(command)`.
 * @returns The key; zeros for "no key".
 * @throws {ValueError} If there is no such file or no key in it.
 */
export async function readKeyFile(path: string): Promise<Key> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    throw new ValueError(
      `fopen: ${fileError(error)}`,
      `found no file "${path}" that can be read, expected one with a key`,
    );
  }
  using _file = file;
  const text = decodeLatin1(await readSome(file));
  if (text === "" && await isRewindable(file)) return new Uint8Array(KEY_LENGTH);
  if (text.length < KEY_BASE64_LENGTH) {
    throw new ValueError(
      "Invalid length key in key file",
      `found ${text.length} characters in "${path}", expected a key of ${KEY_BASE64_LENGTH}` +
        (text === "" ? "; to remove the key, use /dev/null" : ""),
    );
  }
  const trailing = /[^ \t-\r]/.exec(text.slice(KEY_BASE64_LENGTH));
  if (trailing) {
    throw new ValueError(
      `Found trailing character in key file: \`${trailing[0]}'`,
      `found more than a key in "${path}", expected ${KEY_BASE64_LENGTH} characters and nothing else`,
    );
  }
  return readKey(text.slice(0, KEY_BASE64_LENGTH));
}

/**
 * The maximum number of bytes to read: enough for a key and common mistakes, so that an endless device does not block.
 */
const LIMIT = 1 << 16;

async function readSome(file: Deno.FsFile): Promise<Uint8Array> {
  const buffer = new Uint8Array(LIMIT);
  let length = 0;
  while (length < LIMIT) {
    let read: number | null;
    try {
      read = await file.read(buffer.subarray(length));
    } catch {
      // For a directory wg reports a key of the wrong length.
      break;
    }
    if (read === null) break;
    length += read;
  }
  return buffer.subarray(0, length);
}

/** Whether an empty file means "no key". An empty pipe does not: its command has probably failed. */
async function isRewindable(file: Deno.FsFile): Promise<boolean> {
  const { isFile, isCharDevice } = await file.stat();
  return isFile || isCharDevice === true;
}
