import { equal } from "node:assert/strict";
import { flush } from "../../../core/engine/outbound.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import type { Milliseconds } from "../../../core/protocol/clock.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import { MESSAGE_COOKIE_REPLY, messageType } from "../../../core/protocol/messages.ts";
import { BenchPair, superPacket } from "./bench_pair.ts";
import { strangeInitiation } from "./strange_initiation.ts";
import { handleHandshake } from "../../lab.ts";

Deno.test("cookie replies leave space in the send buffer for authenticated peers", () => {
  const pair = new BenchPair();
  const { near, far } = pair;
  const from = endpointWords(parseSocketAddress("198.51.100.7:7")!);
  const cookies = () => far.socket.inbox.filter(({ bytes }) => messageType(bytes) === MESSAGE_COOKIE_REPLY);
  const ask = (after: number) => {
    const now = { ...pair.now, boot: pair.now.boot + after as Milliseconds };
    handleHandshake(near.device, strangeInitiation(near), from, true, now);
    flush(near.path, now);
    return cookies().length;
  };

  equal(ask(0), 1);
  near.socket.crowded = true;
  equal(ask(9), 1, "no cookie reply is added to a buffer that is half full");
  equal(ask(10), 2, "one is added now and then, because peers may have filled the buffer");
  equal(ask(19), 2);
  equal(near.path.drops.cookieUnsent, 2);
  equal(near.path.drops.sendError, 0);
  far.socket.inbox.length = 0;
  pair.send(superPacket("udp", 100, 100));
  equal(far.tun.written.length, 1, "a peer's packets are sent as before");
  near.socket.crowded = false;
  equal(ask(19), 1);
});
