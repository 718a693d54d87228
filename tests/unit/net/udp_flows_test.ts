import { deepEqual, equal, rejects } from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { forwardUdp, reverseUdp } from "../../../core/net/udp_flows.ts";
import { NetPair } from "./pair.ts";

/** A socket on loopback with what it has received. */
class Program implements AsyncDisposable {
  readonly received: string[] = [];

  private constructor(readonly socket: Socket, readonly port: number) {
    socket.on("message", (data: Uint8Array) => this.received.push(new TextDecoder().decode(data)));
  }

  static async create(): Promise<Program> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return new Program(socket, socket.address().port);
  }

  send(text: string, port: number): void {
    this.socket.send(text, port, "127.0.0.1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.socket.close(() => resolve()));
  }
}

async function until(what: () => boolean): Promise<void> {
  for (const end = performance.now() + 5_000; !what();) {
    if (performance.now() > end) throw new Error(`still waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function freeUdpPort(): Promise<number> {
  await using program = await Program.create();
  return program.port;
}

Deno.test("a UDP forward gives every program its own flow, and removes silent flows", async () => {
  await using pair = await NetPair.up();
  const echo = pair.far.listenDatagram({ port: 7 });
  const senders = new Set<number>();
  (async () => {
    for (;;) {
      const received = await echo.receive().catch((error: Error) => error);
      // A flow may end before the answer arrives.
      if (received instanceof Deno.errors.ConnectionRefused) continue;
      if (received instanceof Error) return;
      const [data, from] = received;
      senders.add((from as Deno.NetAddr).port);
      await echo.send(data, from);
    }
  })();
  const port = await freeUdpPort();
  const from = { hostname: "127.0.0.1", port };
  const forwarding = await forwardUdp(pair.near, { from, to: { host: "10.9.0.2", port: 7 }, idle: 1 });
  {
    await using anna = await Program.create();
    await using bert = await Program.create();
    // The first datagrams wait until the flow is open.
    for (const text of ["a1", "a2"]) anna.send(text, port);
    bert.send("b1", port);
    await until(() => anna.received.length === 2 && bert.received.length === 1);
    deepEqual([anna.received.sort(), bert.received], [["a1", "a2"], ["b1"]]);
    deepEqual([senders.size, forwarding.flows], [2, 2]);
    await until(() => forwarding.flows === 0);
    anna.send("a3", port);
    await until(() => anna.received.length === 3);
    await rejects(
      forwardUdp(pair.near, { from, to: { host: "10.9.0.2", port: 7 } }),
      (error: Error) => error instanceof Deno.errors.AddrInUse && error.message.includes(`127.0.0.1:${port}`),
    );
  }
  forwarding.close();
  equal(forwarding.flows, 0);
  echo.close();
});

Deno.test("a UDP forward has at most 1,024 flows, and a new one replaces the oldest", async () => {
  await using pair = await NetPair.up();
  const sink = pair.far.listenDatagram({ port: 7 });
  let received = 0;
  (async () => {
    for await (const _ of sink) received++;
  })();
  const port = await freeUdpPort();
  const forwarding = await forwardUdp(pair.near, {
    from: { hostname: "127.0.0.1", port },
    to: { host: "10.9.0.2", port: 7 },
  });
  for (let i = 0; i < 1_100; i++) {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.send("x", port, "127.0.0.1", () => socket.close(resolve)));
    // Not faster than they are received.
    if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await until(() => received > 1_050);
  equal(forwarding.flows, 1_024);
  forwarding.close();
  sink.close();
});

Deno.test("a reverse UDP forward lets hosts behind the tunnel reach a socket of this machine", async () => {
  await using pair = await NetPair.up();
  await using server = await Program.create();
  server.socket.on("message", (_, { port }) => server.send("answer", port));
  const forwarding = reverseUdp(pair.near, { port: 53, to: { host: "localhost", port: server.port } });
  const asking = pair.far.listenDatagram({ port: 0 });
  await asking.send(new TextEncoder().encode("question"), {
    transport: "udp",
    hostname: "10.9.0.1",
    port: 53,
  });
  const [data, from] = await asking.receive();
  deepEqual(new TextDecoder().decode(data), "answer");
  deepEqual(from, { transport: "udp", hostname: "10.9.0.1", port: 53 });
  deepEqual([server.received, forwarding.flows], [["question"], 1]);
  forwarding.close();
  asking.close();
});
