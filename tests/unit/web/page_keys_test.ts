import { equal } from "node:assert/strict";
import { clampKey, formatKey, parseKey } from "../../../core/config/key.ts";
import { publicKey } from "../../../core/public_key.ts";
import { makeKeyPair } from "../../../core/web/page/keys.ts";

/** Checks that keys are a pair, and that the private key is clamped. */
async function checkKeys(): Promise<void> {
  for (let round = 0; round < 8; round++) {
    const pair = await makeKeyPair();
    const key = parseKey(pair.privateKey)!;
    equal(pair.publicKey, formatKey(publicKey(key)));
    clampKey(key);
    equal(pair.privateKey, formatKey(key));
  }
}

Deno.test("the page makes the keys that wg genkey and wg pubkey make, with WebCrypto", checkKeys);

Deno.test("the page makes the keys that wg genkey and wg pubkey make, without WebCrypto", async () => {
  Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
  try {
    await checkKeys();
  } finally {
    delete (crypto as { subtle?: unknown }).subtle;
  }
  equal(typeof crypto.subtle, "object");
});
