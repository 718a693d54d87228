/**
 * A device's keys, made in the browser. The private key stays in this page's memory. Only the public key is sent to the
 * server.
 *
 * If WebCrypto has no X25519 (browsers older than 2025, or a page loaded over plain HTTP), a JavaScript library makes
 * the keys. Our own WebAssembly would need `wasm-unsafe-eval` in the page's Content-Security-Policy.
 *
 * @module
 */

/** Both keys in base64, as in configuration files. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

const KEY_LENGTH = 32;

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
    const privateKey = clamp(pkcs8.subarray(-KEY_LENGTH));
    const publicKey = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
    const pairInText = { privateKey: base64(privateKey), publicKey: base64(publicKey) };
    pkcs8.fill(0);
    return pairInText;
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") return undefined;
    throw error;
  }
}

async function byLibrary(): Promise<KeyPair> {
  const { x25519 } = await import("@noble/curves/ed25519.js");
  const privateKey = clamp(crypto.getRandomValues(new Uint8Array(KEY_LENGTH)));
  const pair = { privateKey: base64(privateKey), publicKey: base64(x25519.getPublicKey(privateKey)) };
  privateKey.fill(0);
  return pair;
}

/** As `wg genkey` makes it (RFC 7748, section 5). The public key is the same. */
function clamp(key: Uint8Array): Uint8Array {
  key[0]! &= 248;
  key[31] = key[31]! & 127 | 64;
  return key;
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
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
