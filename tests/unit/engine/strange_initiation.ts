import {
  beforeMac1,
  INITIATION_LENGTH,
  mac1,
  MESSAGE_INITIATION,
  writeIndex,
} from "../../../core/protocol/messages.ts";
import type { End } from "./bench_pair.ts";

/** An initiation by somebody who knows only the public key, from an address that may be anybody's. */
export function strangeInitiation({ wasm, device }: End): Uint8Array {
  const message = crypto.getRandomValues(new Uint8Array(INITIATION_LENGTH));
  writeIndex(message, 0, MESSAGE_INITIATION);
  const key = new Uint8Array(32);
  wasm.hash(key, new TextEncoder().encode("mac1----"), device.publicKey!);
  wasm.mac(mac1(message), key, beforeMac1(message));
  return message;
}
