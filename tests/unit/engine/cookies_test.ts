import { equal } from "node:assert/strict";
import { flush } from "../../../core/engine/outbound.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import {
  beforeMac1,
  INITIATION_LENGTH,
  mac1,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  messageType,
  writeIndex,
} from "../../../core/protocol/messages.ts";
import { BenchPair, superPacket } from "./bench_pair.ts";

/** An initiation by somebody who knows only the public key, from an address that may be anybody's. */
function strangeInitiation({ wasm, device }: BenchPair["near"]): Uint8Array {
  const message = crypto.getRandomValues(new Uint8Array(INITIATION_LENGTH));
  writeIndex(message, 0, MESSAGE_INITIATION);
  const key = new Uint8Array(32);
  wasm.hash(key, new TextEncoder().encode("mac1----"), device.publicKey!);
  wasm.mac(mac1(message), key, beforeMac1(message));
  return message;
}

Deno.test("cookies leave room in the send buffer for those who have proved who they are", () => {
  const pair = new BenchPair();
  const { near, far, now } = pair;
  const from = endpointWords(parseSocketAddress("198.51.100.7:7")!);
  const cookies = () => far.socket.inbox.filter(({ bytes }) => messageType(bytes) === MESSAGE_COOKIE_REPLY);
  const ask = () => {
    near.device.handleHandshake(strangeInitiation(near), from, true, now);
    flush(near.path, now);
  };

  ask();
  equal(cookies().length, 1);
  near.socket.crowded = true;
  ask();
  equal(cookies().length, 1, "none is added to a buffer that is half full");
  equal(near.path.drops.cookieUnsent, 1);
  equal(near.path.drops.sendError, 0);
  far.socket.inbox.length = 0;
  pair.send(superPacket("udp", 100, 100));
  equal(far.tun.written.length, 1, "a peer's packets go out as before");
  near.socket.crowded = false;
  ask();
  equal(cookies().length, 1);
});
