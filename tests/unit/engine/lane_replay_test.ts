/**
 * Lanes accept a datagram once, only if it is authentic, and only from the sources of its peer. The order in which
 * lanes do their jobs is pseudorandom.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { publicKey } from "../../../core/public_key.ts";
import { parseGet } from "../../../core/uapi/get.ts";
import { begin, bulk, drops, Flows, keysIn, lanesOf, pair } from "./lane_pair.ts";
import { Machine, peerLines, settle } from "./memory_world.ts";

Deno.test("a datagram is accepted once, whichever lane gets its copies", () => {
  const made = pair(4);
  const { near, far, wire } = made;
  begin(made);
  const trains: [Uint8Array, number][] = [];
  wire.tap = (train, segment) => {
    if (train[0] === 4) trains.push([train.slice(), segment]);
  };
  near.link.packets.waiting.push(...bulk(12));
  settle(near, far);
  wire.tap = () => {};
  const written = far.link.packets.written.length;
  let copies = 0;
  for (let i = 0; i < 3; i++) {
    for (const [train, segment] of trains) {
      near.sockets.last!.deliver(far.sockets.last!.address, train.slice(), segment);
      copies += Math.ceil(train.length / segment);
    }
  }
  settle(near, far);
  equal(far.link.packets.written.length, written);
  ok(copies > 600);
  equal(drops(far).replayed, copies);
});

Deno.test("a copy that arrives while its original is in a lane is refused", () => {
  for (let seed = 1; seed < 20; seed++) {
    const made = pair(3, seed);
    const { near, far, wire } = made;
    begin(made);
    let datagrams = 0;
    wire.tap = () => {};
    const { deliver } = near.sockets.last!;
    near.lanes!.outside.send = (to, bytes, segment) => {
      datagrams += Math.ceil(bytes.length / segment);
      deliver.call(near.sockets.last!, to, bytes.slice(), segment);
      deliver.call(near.sockets.last!, to, bytes.slice(), segment);
      return 0;
    };
    const flows = new Flows();
    near.link.packets.waiting.push(
      ...Array.from({ length: 16 }, () => flows.packet(0, "udp", 52_000, 1_300)),
    );
    settle(near, far);
    equal(drops(far).replayed, datagrams);
    equal(Flows.received(far.link.packets.written)[0]!.length, flows.sent[0]!.length);
  }
});

Deno.test("a forged train moves no endpoint and touches no timer, and an authentic one does when its lane has opened it", () => {
  const made = pair(2);
  const { near, far, wire } = made;
  begin(made);
  const trains: [Uint8Array, number][] = [];
  near.lanes!.outside.send = (_, bytes, segment) => {
    trains.push([bytes.slice(), segment]);
    return 0;
  };
  near.link.packets.waiting.push(...bulk(8));
  settle(near, far);
  ok(trains.length >= 8);
  const elsewhere = new Machine(wire, "192.0.2.9");
  elsewhere.engine.start();
  elsewhere.link.set({ up: true });
  elsewhere.settle();
  const endpoint = () => parseGet(far.ask("get=1\n\n")).peers[0]!.endpoint;
  const before = endpoint();
  for (const [train, segment] of trains) {
    const forged = train.slice();
    for (let at = 20; at < forged.length; at += segment) forged[at]! ^= 1;
    elsewhere.sockets.last!.deliver(far.sockets.last!.address, forged, segment);
  }
  settle(far);
  deepEqual(endpoint(), before);
  const forgeries = drops(far).badTag!;
  ok(forgeries > 300);
  for (const [train, segment] of trains) {
    elsewhere.sockets.last!.deliver(far.sockets.last!.address, train, segment);
  }
  settle(far);
  deepEqual(endpoint()?.address, Uint8Array.of(192, 0, 2, 9));
  equal(drops(far).badTag, forgeries);
});

Deno.test("a source that was removed from a peer is refused at once, even in trains that were in the ring", () => {
  const made = pair(3);
  const { near, far } = made;
  begin(made);
  near.link.packets.waiting.push(...bulk(8));
  near.settle();
  ok(far.sockets.last!.inbox.length > 0);
  // Some packets are in lanes when the request is read.
  far.engine.turn();
  const reply = far.ask(
    `set=1\n${
      peerLines(publicKey(made.keys[0]), { replace_allowed_ips: "true", allowed_ip: "10.0.0.77/32" })
    }\n`,
  );
  equal(reply, "errno=0\n\n");
  far.link.packets.written.length = 0;
  near.link.packets.waiting.push(...bulk(8));
  settle(near, far);
  equal(far.link.packets.written.length, 0);
  ok(drops(far).wrongSource! > 300);
});

Deno.test("lanes end after some time without traffic, and the replay windows are kept", () => {
  const made = pair(2);
  const { near, far, wire } = made;
  begin(made);
  const trains: [Uint8Array, number][] = [];
  wire.tap = (train, segment) => {
    if (train[0] === 4) trains.push([train.slice(), segment]);
  };
  near.link.packets.waiting.push(...bulk(8));
  settle(near, far);
  wire.tap = () => {};
  lanesOf(far).stop();
  deepEqual(keysIn(far), []);
  settle(near, far);
  const written = far.link.packets.written.length;
  for (const [train, segment] of trains) {
    near.sockets.last!.deliver(far.sockets.last!.address, train, segment);
  }
  settle(near, far);
  equal(far.link.packets.written.length, written);
  ok(drops(far).replayed! > 300);
});
