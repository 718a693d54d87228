import { equal } from "node:assert/strict";
import type { Milliseconds } from "../../../core/protocol/clock.ts";
import { Device } from "../../../core/protocol/device.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import {
  INITIATION_LENGTH,
  MESSAGE_RESPONSE,
  messageType,
  readIndex,
  Response,
} from "../../../core/protocol/messages.ts";
import { Wasm } from "../../../wasm/mod.ts";
import {
  decodeInitiations,
  encodeInitiations,
  INITIATORS,
  makeInitiations,
} from "../../bench/initiations.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { handleHandshake } from "../../lab.ts";

Deno.test("prepared initiations are answered, those of one peer in order", () => {
  const wasm = new Wasm();
  const subject = new Device({
    crypto: wasm,
    keypairs: wasm,
    random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
  });
  const keys = generateKeys();
  const made = makeInitiations(keys.publicKey, 2);
  const now = { boot: 1_000 as Milliseconds, wall: 1_700_000_000_000_000_000n };
  subject.setPrivateKey(Uint8Array.fromBase64(keys.privateKey), now);
  subject.up(now);
  const file = decodeInitiations(encodeInitiations(made));
  equal(file.keys.length, INITIATORS);
  for (const key of file.keys) subject.addPeer(key);
  const from = endpointWords({ family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 1, scope: 0 });
  for (const i of [0, 1, INITIATORS - 1, INITIATORS, INITIATORS + 1]) {
    const later = { ...now, boot: now.boot + 100 * i as Milliseconds };
    const message = file.messages.slice(i * INITIATION_LENGTH, (i + 1) * INITIATION_LENGTH);
    handleHandshake(subject, message, from, false, later);
    const output = subject.poll();
    if (output?.kind !== "handshake") throw new Error(`initiation ${i} was not answered`);
    equal(messageType(output.bytes), MESSAGE_RESPONSE);
    equal(readIndex(output.bytes, Response.receiver), i);
  }
});
