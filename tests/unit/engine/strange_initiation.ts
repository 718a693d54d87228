import {
  beforeMac1,
  INITIATION_LENGTH,
  mac1,
  MESSAGE_INITIATION,
  writeIndex,
} from "../../../core/protocol/messages.ts";
import type { End } from "./bench_pair.ts";

/** A handshake message of a sender who knows only the public key. Everything except its type and mac1 is random. */
export function strangeMessage({ wasm, device }: End, type: number, length: number): Uint8Array {
  const message = crypto.getRandomValues(new Uint8Array(length));
  writeIndex(message, 0, type);
  const key = new Uint8Array(32);
  wasm.hash(key, new TextEncoder().encode("mac1----"), device.publicKey!);
  wasm.mac(mac1(message), key, beforeMac1(message));
  return message;
}

/** An initiation of a sender who knows only the public key, from any address. */
export function strangeInitiation(end: End): Uint8Array {
  return strangeMessage(end, MESSAGE_INITIATION, INITIATION_LENGTH);
}
