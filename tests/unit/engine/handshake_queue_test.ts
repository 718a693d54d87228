import { deepEqual, equal } from "node:assert/strict";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { CAPACITY } from "../../../core/engine/handshakes.ts";
import type { Output } from "../../../core/protocol/outputs.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import {
  COOKIE_REPLY_LENGTH,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_RESPONSE,
  RESPONSE_LENGTH,
} from "../../../core/protocol/messages.ts";
import { BenchPair } from "./bench_pair.ts";
import { handleHandshake } from "../../lab.ts";
import { strangeInitiation, strangeMessage } from "./strange_initiation.ts";

const from = endpointWords(parseSocketAddress("198.51.100.7:7")!);

for (
  const [name, type, length] of [
    ["cookie replies", MESSAGE_COOKIE_REPLY, COOKIE_REPLY_LENGTH],
    ["responses", MESSAGE_RESPONSE, RESPONSE_LENGTH],
  ] as const
) {
  Deno.test(`unexpected ${name} take no place in the queue of handshakes`, () => {
    const { near, now } = new BenchPair();
    for (let i = 0; i < CAPACITY; i++) near.handshakes.enqueue(strangeMessage(near, type, length), from, now);
    equal(near.handshakes.length, 0);
    near.handshakes.enqueue(strangeInitiation(near), from, now);
    equal(near.handshakes.length, 1);
    equal(near.path.drops.handshakeQueueFull, 0);
    deepEqual([...near.device.drops.entries()], [["UnknownIndex", CAPACITY]]);
  });
}

Deno.test("an expected cookie reply is accepted when it arrives", () => {
  const { near, far, now } = new BenchPair();
  const [peer] = near.device.peers;
  near.device.sessions.sendingKeypair(peer!, now);
  const initiation = near.device.poll() as Output & { kind: "handshake" };
  handleHandshake(far.device, initiation.bytes, from, true, now);
  const reply = far.device.poll() as Output & { kind: "handshake" };
  const waits = () => peer!.cookieJar!.awaitsReply;
  equal(waits(), true);
  near.handshakes.enqueue(reply.bytes, from, now);
  equal(waits(), false);
  near.handshakes.enqueue(reply.bytes, from, now);
  equal(near.handshakes.length, 0);
  deepEqual([...near.device.drops.entries()], [["UnexpectedCookie", 1]]);
});
