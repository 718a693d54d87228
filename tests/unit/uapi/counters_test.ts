/**
 * The request for counters: what is read is what was written, and nothing else is one.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { formatCounters, formatCountersRequest, parseCountersRequest } from "../../../core/uapi/counters.ts";
import { parseGet } from "../../../core/uapi/get.ts";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });

Deno.test("a request for counters is read as it was written", () => {
  const selection = fc.record({
    since: fc.nat(2 ** 31),
    publicKeys: fc.array(key, { maxLength: 5 }),
  }, { requiredKeys: [] });
  fc.assert(fc.property(selection, (selection) => {
    deepEqual(parseCountersRequest(formatCountersRequest(selection)), selection);
  }));
});

Deno.test("other requests are not requests for counters, and an invalid one is recognized", () => {
  equal(parseCountersRequest("get=1\n\n"), undefined);
  equal(parseCountersRequest("get=1\nwgd_location=1\n\n"), undefined);
  equal(parseCountersRequest("get=1\nwgd_counters=1\nsince=-1\n\n"), null);
  equal(parseCountersRequest("get=1\nwgd_counters=1\npublic_key=00\n\n"), null);
});

Deno.test("counters contain no secret key, and are read like the state of peers", () => {
  const peer = {
    publicKey: new Uint8Array(32).fill(7),
    presharedKey: new Uint8Array(32).fill(9),
    lastHandshake: { seconds: 12, nanoseconds: 34 },
    txBytes: 56,
    rxBytes: 78,
  };
  const reply = [...formatCounters([peer])].join("");
  equal(reply.includes("09".repeat(32)), false);
  const { presharedKey: _, ...counted } = peer;
  deepEqual(parseGet(reply).peers, [{ ...counted, persistentKeepalive: 0, allowedIps: [] }]);
});
