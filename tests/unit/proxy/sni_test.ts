import { deepEqual, equal } from "node:assert/strict";
import { SniProxy } from "../../../core/proxy/sni.ts";
import { clientHello, concat, records, serverNames } from "./client_hello.ts";

const HELLO = records(clientHello({ extensions: [[0, serverNames([0, "server.test"])]] }), [3, 40]);
const fatal = (description: number) => Uint8Array.of(21, 3, 3, 0, 2, 2, description);

Deno.test("SniProxy connects to the named server at port 443, and passes on what the program has sent", () => {
  const early = concat(HELLO, Uint8Array.of(23, 3, 3, 0, 1, 9));
  const proxy = new SniProxy();
  deepEqual(proxy.push(early.subarray(0, 50)), {});
  const { request, reply, over } = proxy.push(early.subarray(50));
  deepEqual([reply, over], [undefined, undefined]);
  deepEqual(request, { kind: "connect", target: { host: "server.test", port: 443 }, first: early });
  equal(proxy.granted({ host: "10.0.0.1", port: 1 }).length, 0);
  deepEqual(proxy.push(Uint8Array.of(1)), {}, "what comes now is not its own");
});

Deno.test("SniProxy tells a program why its handshake ends, and other programs nothing", () => {
  deepEqual(new SniProxy().push(records(clientHello({}))), { reply: fatal(109), over: true });
  deepEqual(new SniProxy().push(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")), { over: true });
  const proxy = new SniProxy();
  proxy.push(HELLO);
  deepEqual(proxy.refused("unknown host"), fatal(112));
  deepEqual(proxy.refused("not allowed"), fatal(49));
  deepEqual(proxy.refused("timed out"), fatal(80));
});
