import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { Proxy } from "../../../core/net/proxy.ts";
import { Authority } from "../../../core/web/keeper/certificates.ts";
import { NO_RULES } from "../../../core/proxy/rules.ts";
import { readDatagram, writeDatagram } from "../../../core/proxy/socks5.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { clientHello, concat, records, serverNames } from "../proxy/client_hello.ts";
import { ANY_PORT, exactly, portsOf } from "./loopback.ts";
import { freePort } from "../../free_port.ts";
import { NetPair } from "./pair.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

Deno.test("SOCKS5 UDP ASSOCIATE forwards datagrams of its program only", async () => {
  await using pair = await NetPair.up();
  const echo = pair.far.listenDatagram({ port: 7 });
  (async () => {
    for await (const [data, from] of echo) await echo.send(data, from);
  })().catch(() => {});
  using proxy = await Proxy.start(pair.near, { ...NO_RULES, socks5: [{ at: ANY_PORT }] }, () => {});
  const [port] = portsOf(proxy.listening) as [number];
  using control = await Deno.connect({ hostname: "127.0.0.1", port });
  await control.write(Uint8Array.of(5, 1, 0));
  deepEqual(await exactly(control, 2), Uint8Array.of(5, 0));
  await control.write(Uint8Array.of(5, 3, 0, 1, 0, 0, 0, 0, 0, 0));
  const granted = await exactly(control, 10);
  deepEqual([...granted.subarray(0, 8)], [5, 0, 0, 1, 127, 0, 0, 1]);
  const relay = granted[8]! << 8 | granted[9]!;

  const program = createSocket("udp4");
  const answers: Uint8Array[] = [];
  program.on("message", (data: Uint8Array) => answers.push(data));
  const datagram = Buffer.from(
    writeDatagram({ target: { host: "10.9.0.2", port: 7 }, data: bytes("hello") }),
  );
  program.send(datagram, relay, "127.0.0.1");
  await eventually("an answer", () => answers.length === 1, { every: 5 });
  const answer = readDatagram(answers[0]!)!;
  deepEqual([answer.target, text(answer.data)], [{ host: "10.9.0.2", port: 7 }, "hello"]);

  // Another program of this machine gets nothing.
  const other = createSocket("udp4");
  let stolen = 0;
  other.on("message", () => stolen++);
  other.send(datagram, relay, "127.0.0.1");
  program.send(datagram, relay, "127.0.0.1");
  await eventually("another answer", () => answers.length === 2, { every: 5 });
  equal(stolen, 0);
  for (const socket of [program, other]) await new Promise<void>((resolve) => socket.close(() => resolve()));
  echo.close();
});

Deno.test("a proxy listens on all of its addresses or on none", async () => {
  await using pair = await NetPair.up();
  using taken = Deno.listen(ANY_PORT);
  const free = freePort();
  const rules = {
    ...NO_RULES,
    socks5: [{ at: { ...ANY_PORT, port: free } }],
    http: [{ at: { ...ANY_PORT, port: taken.addr.port } }],
  };
  await rejects(() => Proxy.start(pair.near, rules, () => {}), Deno.errors.AddrInUse);
  // Deno closes a listener a moment later. Until then, connections are reset.
  await rejects(Deno.connect({ hostname: "127.0.0.1", port: free }));
});

Deno.test("a program that sends garbage to a proxy is disconnected, and others are served", async () => {
  await using pair = await NetPair.up();
  await using _server = pair.far.serve({ port: 80 }, () => new Response("hello"));
  using proxy = await Proxy.start(pair.near, {
    ...NO_RULES,
    socks5: [{ at: ANY_PORT }],
    forwards: [{ from: ANY_PORT, to: { host: "10.9.0.2", port: 80 } }],
  }, () => {});
  const [socks, forward] = portsOf(proxy.listening) as [number, number];
  for (let i = 0; i < 100; i++) {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: socks });
    await conn.write(crypto.getRandomValues(new Uint8Array(64)).fill(4, 0, 1));
    equal(await conn.read(new Uint8Array(1)).catch(() => null), null);
  }
  equal(await (await fetch(`http://127.0.0.1:${forward}/`)).text(), "hello");
});

Deno.test("a failure at one end of a proxied connection is a reset at the other, and no end of stream", async () => {
  await using pair = await NetPair.up();
  using listener = pair.far.listen({ port: 7 });
  using proxy = await Proxy.start(pair.near, {
    ...NO_RULES,
    forwards: [{ from: ANY_PORT, to: { host: "10.9.0.2", port: 7 } }],
  }, () => {});
  const [port] = portsOf(proxy.listening) as [number];
  const [program, reset] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port }),
    listener.accept(),
  ]);
  await reset.write(bytes("hello"));
  equal(text(await exactly(program, 5)), "hello");
  reset.abort();
  await rejects(() => program.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  program.close();

  // Linux resets a connection that is closed with something unread. Deno would end its stream before.
  const script =
    `exec 3<>/dev/tcp/127.0.0.1/${port}; echo here >&3; while ! read -t 0 <&3; do sleep 0.01; done; kill -9 $$`;
  const killed = new Deno.Command("bash", { args: ["-c", script] }).spawn();
  const peer = await listener.accept();
  equal(text(await exactly(peer, 5)), "here\n");
  await peer.write(bytes("unread"));
  await killed.status;
  await rejects(() => peer.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  peer.close();
  await eventually("no connection", () => proxy.standing === 0, { every: 5 });
});

Deno.test("a TLS connection reaches the server that it names, unchanged", async () => {
  await using pair = await NetPair.up();
  const received: Uint8Array[] = [];
  const listener = pair.far.listen({ port: 443 });
  (async () => {
    for await (const conn of listener) {
      for await (const chunk of conn.readable) received.push(chunk.slice());
      await conn.write(bytes("bye"));
      conn.close();
    }
  })().catch(() => {});
  using proxy = await Proxy.start(pair.near, { ...NO_RULES, sni: [{ at: ANY_PORT }] }, () => {});
  const [port] = portsOf(proxy.listening) as [number];
  const hello = (name: string) =>
    records(clientHello({ extensions: [[0, serverNames([0, name])]] }), [1, 70]);
  const answer = async (...parts: Uint8Array[]) => {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    for (const part of parts) await conn.write(part);
    await conn.closeWrite();
    return new Uint8Array(await new Response(conn.readable).arrayBuffer());
  };
  const sent = hello("10.9.0.2");
  equal(text(await answer(sent.subarray(0, 9), sent.subarray(9), bytes("more"))), "bye");
  deepEqual(concat(...received), concat(sent, bytes("more")));
  listener.close();
  deepEqual([...await answer(hello("10.9.0.2"))], [21, 3, 3, 0, 2, 2, 80], "the server refuses");
  deepEqual([...await answer(records(clientHello({})))], [21, 3, 3, 0, 2, 2, 109], "no name");
  equal((await answer(bytes("GET / HTTP/1.1\r\n\r\n"))).length, 0, "not TLS");
  const { connections: { sni }, refused } = proxy.counters;
  deepEqual([sni, refused.refused], [{ accepted: 4, open: 0 }, 1]);
});

Deno.test("an HTTPS proxy serves requests and tunnels, and a program without a TLS handshake does not block others", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const authority = await Authority.open(`${folder}/ca.key`, `${folder}/ca.pem`, Date.now());
    const { chain, key } = authority.issue(["localhost", "127.0.0.1"], Date.now());
    const tls = { certFile: `${folder}/cert.pem`, keyFile: `${folder}/key.pem` };
    await Deno.writeTextFile(tls.certFile, chain);
    await Deno.writeTextFile(tls.keyFile, key);
    const caCerts = [authority.certificate];

    await using pair = await NetPair.up();
    await using _server = pair.far.serve({ port: 80 }, () => new Response("hello"));
    const rules = {
      ...NO_RULES,
      http: [{ at: ANY_PORT, tls, credentials: { user: "anna", password: "secret" } }],
    };
    using proxy = await Proxy.start(pair.near, rules, () => {});
    const [port] = portsOf(proxy.listening) as [number];
    using _silent = await Deno.connect({ hostname: "127.0.0.1", port });
    using garbage = await Deno.connect({ hostname: "127.0.0.1", port });
    await garbage.write(bytes("GET http://10.9.0.2/ HTTP/1.1\r\n\r\n"));

    const authorization = `Proxy-Authorization: Basic ${btoa("anna:secret")}\r\n`;
    const ask = async (request: string) => {
      using conn = await Deno.connectTls({ hostname: "localhost", port, caCerts });
      await conn.write(bytes(request));
      let answer = "";
      for await (const chunk of conn.readable) answer += text(chunk);
      return answer;
    };
    const ending = "Host: server\r\nConnection: close\r\n";
    match(
      await ask(`GET http://10.9.0.2/ HTTP/1.1\r\n${ending}${authorization}\r\n`),
      /^HTTP\/1.1 200.*\r\nhello\r\n/s,
    );
    match(await ask(`GET http://10.9.0.2/ HTTP/1.1\r\n${ending}\r\n`), /^HTTP\/1.1 407/);
    const tunnelled = `CONNECT 10.9.0.2:80 HTTP/1.1\r\n${authorization}\r\nGET / HTTP/1.1\r\n${ending}\r\n`;
    match(await ask(tunnelled), /^HTTP\/1.1 200.*\r\nhello\r\n/s);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
