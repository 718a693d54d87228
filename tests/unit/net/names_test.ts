import { deepEqual, equal, rejects } from "node:assert/strict";
import type { Net } from "../../../core/net/api.ts";
import { addressInTunnel } from "../../../core/net/udp_flows.ts";
import { NetPair } from "./pair.ts";

/** Address records by name. Other names do not exist. */
const ZONE: Readonly<Record<string, { readonly 1?: number[]; readonly 28?: number[] }>> = {
  "web.test": { 1: [10, 9, 0, 2] },
  "both.test": { 1: [10, 9, 0, 99], 28: [0xfd, 9, ...new Array(13).fill(0), 2] },
  "two.test": { 1: [10, 9, 0, 2], 28: [0xfd, 9, ...new Array(13).fill(0), 2] },
  "large.test": { 1: [10, 9, 0, 2] },
};

/** The answer to a question. Over UDP, the answer for `large.test` is truncated. */
function answer(question: Uint8Array, stream: boolean): Uint8Array {
  let at = 12;
  const labels: string[] = [];
  for (; question[at] !== 0; at += 1 + question[at]!) {
    labels.push(new TextDecoder().decode(question.subarray(at + 1, at + 1 + question[at]!)));
  }
  const name = labels.join(".");
  const type = question[at + 1]! << 8 | question[at + 2]!;
  const records = ZONE[name];
  const address = records?.[type as 1 | 28];
  const truncated = name === "large.test" && !stream;
  const flags = [truncated ? 0x83 : 0x81, records ? 0x80 : 0x83];
  const count = address && !truncated ? 1 : 0;
  const record = count ? [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, address!.length, ...address!] : [];
  return Uint8Array.from([
    ...question.subarray(0, 2),
    ...flags,
    ...[0, 1, 0, count, 0, 0, 0, 0],
    ...question.subarray(12, at + 5),
    ...record,
  ]);
}

/** A DNS server on a net. @returns The questions that it received over UDP. */
function serveNames(net: Net): { count: number } {
  const asked = { count: 0 };
  const socket = net.listenDatagram({ port: 53 });
  (async () => {
    for await (const [question, from] of socket) {
      asked.count++;
      await socket.send(answer(question, false), from);
    }
  })().catch(() => {});
  const listener = net.listen({ port: 53 });
  (async () => {
    for await (const conn of listener) {
      const buffer = new Uint8Array(1_024);
      const length = await conn.read(buffer);
      const reply = answer(buffer.subarray(2, length!), true);
      await conn.write(Uint8Array.from([reply.length >> 8, reply.length & 0xff, ...reply]));
      await conn.closeWrite();
    }
  })().catch(() => {});
  return asked;
}

Deno.test("names are looked up in the tunnel: by search domain, by fetch, over TCP, and again from memory", async () => {
  await using pair = await NetPair.up({}, "DNS = 10.9.0.2, test");
  const { near, far } = pair;
  const asked = serveNames(far);
  await using _server = far.serve({ port: 80 }, (request) => new Response(new URL(request.url).host));
  deepEqual(await near.resolveDns("web", "A"), ["10.9.0.2"]);
  const { count } = asked;
  deepEqual(await near.resolveDns("web.test.", "A"), ["10.9.0.2"]);
  equal(asked.count, count, "the answer comes from the cache");
  equal(await (await near.fetch("http://web/")).text(), "web");
  deepEqual(await near.resolveDns("large.test.", "A"), ["10.9.0.2"]);
  await rejects(near.resolveDns("nobody.test.", "A"), Deno.errors.NotFound);
  await rejects(near.connect({ hostname: "nobody.test", port: 80 }), Deno.errors.NotFound);
});

Deno.test("if a name has several addresses, the one that works is used", async () => {
  await using pair = await NetPair.up({}, "DNS = 10.9.0.2");
  const { near, far } = pair;
  serveNames(far);
  using listener = far.listen({ port: 80 });
  using conn = await near.connect({ hostname: "both.test", port: 80 });
  equal(conn.remoteAddr.hostname, "fd09::2");
  (await listener.accept()).close();
});

Deno.test("the preferred address family is tried first, and then the other one", async () => {
  for (
    const [prefer, address] of [["ipv4", "10.9.0.2"], ["ipv6", "fd09::2"], [undefined, "fd09::2"]] as const
  ) {
    await using pair = await NetPair.up({ prefer }, "DNS = 10.9.0.2");
    const { near, far } = pair;
    serveNames(far);
    using listener = far.listen({ port: 80 });
    using conn = await near.connect({ hostname: "two.test", port: 80 });
    equal(conn.remoteAddr.hostname, address);
    (await listener.accept()).close();
    // Its address of IPv4 does not answer.
    using other = await near.connect({ hostname: "both.test", port: 80 });
    equal(other.remoteAddr.hostname, "fd09::2");
    (await listener.accept()).close();
    equal(await addressInTunnel(near, "two.test"), prefer === "ipv6" ? "fd09::2" : "10.9.0.2");
    equal(await addressInTunnel(near, "web.test"), "10.9.0.2");
  }
});

Deno.test("addresses of a family that the tunnel lacks are not used, even if that family is preferred", async () => {
  for (const [family, address] of [["ipv4", "10.9.0.2"], ["ipv6", "fd09::2"]] as const) {
    for (const prefer of ["ipv4", "ipv6", undefined] as const) {
      await using pair = await NetPair.up({ prefer }, `DNS = ${address}`, [family]);
      const { near, far } = pair;
      serveNames(far);
      equal(await addressInTunnel(near, "two.test"), address);
      const socket = far.listenDatagram({ port: 7 });
      await near.listenDatagram({ port: 0 }).send(new Uint8Array(1), {
        transport: "udp",
        hostname: await addressInTunnel(near, "two.test"),
        port: 7,
      });
      equal((await socket.receive())[0].length, 1);
      using listener = far.listen({ port: 80 });
      using conn = await near.connect({ hostname: "two.test", port: 80 });
      equal(conn.remoteAddr.hostname, address);
      (await listener.accept()).close();
      if (family === "ipv6") await rejects(addressInTunnel(near, "web.test"), Deno.errors.NotFound);
    }
  }
});

Deno.test("without a DNS server in the configuration, names are not looked up", async () => {
  await using pair = await NetPair.up();
  await rejects(
    pair.near.connect({ hostname: "localhost", port: 80 }),
    /the configuration has no DNS server/,
  );
});
