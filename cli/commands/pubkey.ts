/** `wgd pubkey`. @module */

import { formatKey, KEY_BASE64_LENGTH, parseKey } from "../../core/config/key.ts";
import { decodeLatin1 } from "../input.ts";
import { programName } from "../program.ts";
import { complain, print } from "../render/output.ts";

/** Reads a private key from standard input and prints its public key. */
export async function pubkey(args: readonly string[]): Promise<number> {
  if (args.length !== 0) {
    complain(`Usage: ${programName()} pubkey`);
    return 1;
  }
  const { text, trailing } = await readKeyText();
  if (trailing) {
    complain(`${programName()}: Trailing characters found after key`);
    return 1;
  }
  const key = parseKey(text);
  if (!key) {
    complain(`${programName()}: Key is not the correct length or format`);
    return 1;
  }
  const { publicKey } = await import("../../core/public_key.ts");
  print(`${formatKey(publicKey(key))}\n`);
  return 0;
}

/** Reads 44 characters, then up to the end or to a character other than white space and NUL. */
async function readKeyText(): Promise<{ text: string; trailing: boolean }> {
  const buffer = new Uint8Array(1024);
  let text = "";
  for (;;) {
    const length = await Deno.stdin.read(buffer);
    if (length === null) return { text, trailing: false };
    const piece = decodeLatin1(buffer.subarray(0, length));
    const missing = KEY_BASE64_LENGTH - text.length;
    text += piece.slice(0, missing);
    if (/[^ \t-\r\0]/.test(piece.slice(missing))) return { text, trailing: true };
  }
}
