import { equal } from "node:assert/strict";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import type { BoundSockets } from "../../../core/engine/doors.ts";
import { NodeSockets } from "../../../core/net/datagram_sockets.ts";
import { EventLoopHost } from "../../../core/net/event_loop_host.ts";
import { Wasm } from "../../../wasm/mod.ts";

Deno.test("datagrams to port 0 are refused and do not use queue space", async () => {
  const sockets = await new Promise<BoundSockets>((opened, refused) =>
    new NodeSockets(new Wasm().memory, new EventLoopHost()).open(0, 0, { opened, refused, readable() {} })
  );
  try {
    const nobody = endpointWords({ ...parseSocketAddress("127.0.0.1:1")!, port: 0 });
    // A minute of cookie replies to a flood would fill the bound.
    for (let i = 0; i < 100; i++) equal(sockets.v4!.send(nobody, 0, 60_000, 0, 0) < 0, true);
    equal(sockets.v4!.memory.sent, 0);
    equal(sockets.v4!.crowded, false);
  } finally {
    sockets.close();
  }
});
