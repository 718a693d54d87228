/**
 * Encryption of secrets at rest. Secrets of providers and second factors, which are needed in plain text, are encrypted
 * in the database, and the key is not in the database.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** Name of the key's file in the data folder. */
export const KEY_FILE = "secrets.key";
const KEY = 32;
const NONCE = 12;
const TAG = 16;

/**
 * An encrypted text cannot be decrypted: it was changed, belongs to another place, or was encrypted with another key.
 */
export class SealError extends Error {
  override name = "SealError";
  constructor() {
    super("a stored secret cannot be decrypted: it was encrypted with another secrets.key");
  }
}

/** Encrypts and decrypts secrets with AES-256-GCM. */
export class Seal {
  readonly #key: Uint8Array;

  /** @param key 32 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== KEY) throw new RangeError(`the key has ${KEY} bytes, not ${key.length}`);
    this.#key = key;
  }

  /** Reads the key of a data folder, or makes it. Only its owner can read it. */
  static async open(folder: string): Promise<Seal> {
    const path = `${folder}/${KEY_FILE}`;
    try {
      await Deno.lstat(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await makeKey(path);
    }
    const { mode } = await Deno.stat(path);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new Error(
        `others may read "${path}": set its mode to 600, and change the secrets that it protects`,
      );
    }
    return new Seal(await Deno.readFile(path));
  }

  /**
   * Encrypts a text.
   *
   * @param place The object that it belongs to. Decryption for another place fails.
   */
  seal(text: string, place: string): string {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(new TextEncoder().encode(place));
    const parts = [nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()];
    return encode(Buffer.concat(parts));
  }

  /** Decrypts a text of a place. @throws {SealError} */
  open(sealed: string, place: string): string {
    try {
      if (!sealed.startsWith("v1.")) throw new SealError();
      const bytes = Uint8Array.fromBase64(sealed.slice(3), { alphabet: "base64url" });
      // The last character has unused bits. A text with other values of these bits is refused.
      if (bytes.length < NONCE + TAG || encode(bytes) !== sealed) throw new SealError();
      const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, NONCE))
        .setAAD(new TextEncoder().encode(place));
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG));
      const parts = [decipher.update(bytes.subarray(NONCE, bytes.length - TAG)), decipher.final()];
      return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
    } catch {
      throw new SealError();
    }
  }
}

/** Makes the key, complete or not at all, without FFI, which the web process has given up. Of two at once, one succeeds. */
async function makeKey(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(8).toString("hex")}.new`;
  try {
    using file = await Deno.open(aside, { createNew: true, write: true, mode: 0o600 });
    await file.write(randomBytes(KEY));
    await file.sync();
    await Deno.link(aside, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(aside).catch(() => {});
  }
}

function encode(bytes: Uint8Array): string {
  return `v1.${bytes.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}
