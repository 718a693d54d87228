/**
 * The search for the connections that a server of this process has accepted.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { prepareConnections } from "../../../ffi/linux/accepted_connections.ts";

Deno.test("AcceptedConnections: finds those of a port, also behind thousands of closed descriptors", async () => {
  const connections = prepareConnections();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { hostname, port } = listener.addr;
  const connect = async (to: Deno.TcpListener) => {
    const [client, accepted] = await Promise.all([
      Deno.connect({ hostname, port: to.addr.port }),
      to.accept(),
    ]);
    return { client, accepted, port: client.localAddr.port };
  };
  const found = () => connections.at(port).map((each) => each.port);
  deepEqual(found(), []);

  const first = await connect(listener);
  const stranger = await connect(other);
  deepEqual(found(), [first.port]);
  // The kernel gives each new descriptor the lowest free number.
  const files = Array.from({ length: 3_000 }, () => Deno.openSync("/dev/null"));
  const last = await connect(listener);
  for (const file of files) file.close();
  deepEqual(found(), [first.port, last.port]);

  connections.end(connections.at(port)[1]!);
  equal(await last.client.read(new Uint8Array(1)), null);
  last.accepted.close();
  deepEqual(found(), [first.port]);
  for (const { client, accepted } of [first, stranger]) for (const conn of [client, accepted]) conn.close();
  last.client.close();
  deepEqual(found(), []);
});
