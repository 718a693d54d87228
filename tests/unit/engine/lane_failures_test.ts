/**
 * Lanes that fail, and sockets and devices that refuse their packets. What is lost is counted, and the rest goes on.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { parseGet } from "../../../core/uapi/get.ts";
import { begin, bulk, drops, Flows, lanesOf, pair } from "./lane_pair.ts";
import { LaneFailure } from "./memory_lanes.ts";
import { settle } from "./memory_world.ts";

Deno.test("after a lane fails, the engine works without it and logs this", () => {
  for (let failing = 1; failing <= 3; failing++) {
    const made = pair(3);
    const { near, far } = made;
    begin(made);
    const lane = near.lanes!.lanes[failing]!;
    const { sealBatch } = lane.wasm;
    lane.wasm.sealBatch = () => {
      throw new LaneFailure();
    };
    near.link.packets.waiting.push(...bulk(40));
    settle(near, far);
    lane.wasm.sealBatch = sealBatch;
    equal(lanesOf(near).started, 0);
    equal(near.log.filter((message) => /a lane failed/.test(message)).length, 1);
    ok(drops(near).sendError! > 0, "what it had is lost, and counted");
    far.link.packets.written.length = 0;
    near.link.packets.waiting.push(...bulk(5));
    settle(near, far);
    equal(Flows.received(far.link.packets.written)[0]!.length, 5 * 60_000);
    ok(!lanesOf(near).startable);
  }
});

Deno.test("datagrams that a socket refuses in a lane are lost and counted, and the others stay in order", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const made = pair(3, seed);
    const { near, far } = made;
    begin(made);
    const before = parseGet(near.ask("get=1\n\n")).peers[0]!.txBytes;
    const { send } = near.lanes!.outside;
    const left: bigint[] = [];
    let trains = 0, all = 0, refused = 0;
    near.lanes!.outside.send = (to, bytes, segment) => {
      const datagrams = Math.ceil(bytes.length / segment);
      all += datagrams;
      // EAGAIN for a train, or for the last of its datagrams that are sent one by one.
      const lost = [0, 0, datagrams, 3][trains++ % 4]!;
      refused += lost;
      if (lost === datagrams) return lost;
      const end = (datagrams - lost) * segment;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      for (let at = 0; at < Math.min(end, bytes.length); at += segment) {
        left.push(view.getBigUint64(at + 8, true));
      }
      send(to, bytes.subarray(0, end), segment);
      return lost;
    };
    near.link.packets.waiting.push(...bulk(30));
    settle(near, far);
    equal(all, 30 * 47);
    ok(refused > 100);
    deepEqual(drops(near), { sendError: refused });
    equal(left.length, all - refused);
    ok(left.every((counter, i) => i === 0 || counter > left[i - 1]!), "in order");
    deepEqual(drops(far), {}, "each arrived once");

    // If nothing of a job was sent, nothing was sent to the peer.
    const sent = parseGet(near.ask("get=1\n\n")).peers[0]!.txBytes;
    ok(sent > before);
    near.lanes!.outside.send = (_, bytes, segment) => Math.ceil(bytes.length / segment);
    near.link.packets.waiting.push(...bulk(4));
    settle(near, far);
    equal(parseGet(near.ask("get=1\n\n")).peers[0]!.txBytes, sent);
    equal(drops(near).sendError, refused + 4 * 47);
  }
});

Deno.test("packets that the device refuses in a lane are lost and counted as the packets they were joined from", () => {
  const made = pair(3);
  const { near, far } = made;
  begin(made);
  let writes = 0, refused = 0, accepted = 0;
  far.link.packets.refuse = (_, parts) => {
    // EAGAIN, ENOBUFS, EIO.
    const errno = [0, 0, 11, 0, 105, 0, 5][writes++ % 7]!;
    if (errno !== 0) refused += parts;
    else accepted += parts;
    return errno;
  };
  near.link.packets.waiting.push(...bulk(30));
  settle(near, far);
  ok(refused > 100);
  equal(accepted + refused, 30 * 47);
  deepEqual(drops(far), { tunError: refused });
  ok(far.engine.path.features.states().every(({ feature, on }) => on || feature === "wide"));
});

Deno.test("a lane that fails while it sends does not stop the others, and unsent packets are counted", () => {
  for (let failing = 1; failing <= 8; failing++) {
    const made = pair(2, failing);
    const { near, far } = made;
    begin(made);
    const { send } = near.lanes!.outside;
    let count = 0, sent = 0;
    near.lanes!.outside.send = (to, bytes, segment) => {
      if (++count === failing) throw new LaneFailure();
      sent += Math.ceil(bytes.length / segment);
      return send(to, bytes, segment);
    };
    const { deliver } = near.sockets.last!;
    near.sockets.last!.deliver = function (to, bytes, segment) {
      // Packets that the engine sends afterwards.
      if (lanesOf(near).started === 0) sent += Math.ceil(bytes.length / segment);
      return deliver.call(this, to, bytes, segment);
    };
    near.link.packets.waiting.push(...bulk(40));
    settle(near, far);
    equal(lanesOf(near).started, 0);
    equal(sent + drops(near).sendError!, 40 * 47, `train ${failing}`);
    far.link.packets.written.length = 0;
    near.link.packets.waiting.push(...bulk(5));
    settle(near, far);
    equal(Flows.received(far.link.packets.written)[0]!.length, 5 * 60_000);
  }
});

Deno.test("a lane that fails while it writes does not stop the others, and unwritten packets are counted", () => {
  for (let failing = 1; failing <= 8; failing++) {
    const made = pair(2, failing);
    const { near, far } = made;
    begin(made);
    const { write } = far.lanes!.outside;
    let count = 0, written = 0;
    far.lanes!.outside.write = (packet, parts) => {
      if (++count === failing) throw new LaneFailure();
      return write(packet, parts);
    };
    far.link.packets.refuse = (_, parts) => {
      written += parts;
      return 0;
    };
    near.link.packets.waiting.push(...bulk(40));
    settle(near, far);
    equal(lanesOf(far).started, 0);
    equal(written + drops(far).tunError!, 40 * 47, `packet ${failing}`);
  }
});
