/**
 * A device's keys, made in the browser. The private key stays in this page's memory. Only the public key is sent to the
 * server.
 *
 * If WebCrypto has no X25519 (browsers older than 2025, or a page loaded over plain HTTP), a JavaScript library makes
 * the keys. Our own WebAssembly would need `wasm-unsafe-eval` in the page's Content-Security-Policy.
 *
 * @module
 */

import { clampKey, formatKey, KEY_LENGTH } from "../../config/key.ts";

/** Both keys in base64, as in configuration files. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** Makes a new key pair. */
export async function makeKeyPair(): Promise<KeyPair> {
  return await byWebCrypto() ?? await byLibrary();
}

async function byWebCrypto(): Promise<KeyPair | undefined> {
  // Undefined outside of secure contexts, although its type does not say so.
  const subtle = globalThis.crypto.subtle as SubtleCrypto | undefined;
  if (!subtle) return undefined;
  try {
    const pair = await subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]) as CryptoKeyPair;
    // PKCS #8 of X25519 (RFC 8410, section 7) ends with the key.
    const pkcs8 = new Uint8Array(await subtle.exportKey("pkcs8", pair.privateKey));
    const privateKey = pkcs8.subarray(-KEY_LENGTH);
    const publicKey = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
    const pairInText = asText(privateKey, publicKey);
    pkcs8.fill(0);
    return pairInText;
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") return undefined;
    throw error;
  }
}

async function byLibrary(): Promise<KeyPair> {
  const { x25519 } = await import("@noble/curves/ed25519.js");
  const privateKey = crypto.getRandomValues(new Uint8Array(KEY_LENGTH));
  const pair = asText(privateKey, x25519.getPublicKey(privateKey));
  privateKey.fill(0);
  return pair;
}

/** The private key as `wg genkey` makes it: clamped, which does not change the public key (RFC 7748, section 5). */
function asText(privateKey: Uint8Array, publicKey: Uint8Array): KeyPair {
  clampKey(privateKey);
  return { privateKey: formatKey(privateKey), publicKey: formatKey(publicKey) };
}

/** Inserts the private key into a configuration that lacks it. */
export function withPrivateKey(config: string, privateKey: string): string {
  const head = "[Interface]\n";
  const at = config.indexOf(head);
  if (at < 0) throw new Error("the configuration has no section [Interface]");
  const after = at + head.length;
  return `${config.slice(0, after)}PrivateKey = ${privateKey}\n${config.slice(after)}`;
}

/**
 * The name of a configuration file. Apps name the tunnel after it: at most 15 letters, digits and `_=+.-`
 * (wg-quick(8)).
 */
export function fileName(name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{Mark}/gu, "").replace(/[^\w=+.-]+/g, "-");
  const short = plain.replace(/^[-.]+/, "").slice(0, 15).replace(/[-.]+$/, "");
  return `${short || "wgd"}.conf`;
}
