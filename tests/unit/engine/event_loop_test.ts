/**
 * Engines in an event loop: without their own thread, without blocking, without FFI. Their sockets are those of
 * `node:dgram` on the loopback interface, which open asynchronously. Their links are in memory.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { formatHexKey, type Key } from "../../../core/config/key.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import type {
  DatagramSocket,
  Host,
  Link,
  LinkEvents,
  Opening,
  SocketFactory,
} from "../../../core/engine/doors.ts";
import { Engine } from "../../../core/engine/engine.ts";
import { Features } from "../../../core/engine/features.ts";
import { type EndpointWords, endpointWords } from "../../../core/protocol/endpoint.ts";
import { publicKey } from "../../../core/public_key.ts";
import { Errno } from "../../../core/uapi/errno.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { KeptPackets, superPacket } from "./bench_pair.ts";

/** Gives an engine turns from the event loop. */
class LoopHost implements Host {
  engine: Engine | null = null;
  readonly #ready = new Set<() => void>();
  #soon: ReturnType<typeof setTimeout> | undefined;
  #alarm: ReturnType<typeof setTimeout> | undefined;
  #alarmAt = Infinity;

  boot(): number {
    return performance.now();
  }

  wall(): bigint {
    return BigInt(Date.now()) * 1_000_000n;
  }

  /** Called when a source is ready. */
  ready(call: () => void): void {
    this.#ready.add(call);
    this.#soon ??= setTimeout(() => this.#turn());
  }

  dispatch(): void {
    const ready = [...this.#ready];
    this.#ready.clear();
    for (const call of ready) call();
  }

  alarm(at: number): void {
    if (at >= this.#alarmAt) return;
    clearTimeout(this.#alarm);
    this.#alarmAt = at;
    this.#alarm = setTimeout(() => {
      this.#alarmAt = Infinity;
      this.#turn();
    }, at - this.boot());
  }

  #turn(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    if (this.engine!.turn()) this.ready(() => {});
    if (this.engine!.ended !== null) {
      clearTimeout(this.#alarm);
      clearTimeout(this.#soon);
    }
  }
}

/** A link that is always up. */
class LoopLink implements Link {
  readonly name = "loop";
  readonly offloads = { tcp: true, udp: true };
  readonly location = undefined;
  readonly packets: KeptPackets;
  #events: LinkEvents | null = null;

  constructor(readonly host: LoopHost, wasm: Wasm) {
    this.packets = new KeptPackets(wasm);
  }

  send(packet: Uint8Array): void {
    this.packets.waiting.push(packet);
    this.host.ready(this.#readable);
  }

  watch(events: LinkEvents): void {
    this.#events = events;
    events.state({ up: true, mtu: 1_420 });
  }

  close(): void {}

  readonly #readable = (): void => {
    this.#events!.readable();
    if (this.packets.waiting.length > 0) this.host.ready(this.#readable);
  };
}

/** A socket of Node. Its datagrams wait here until the engine receives them. */
class LoopSocket implements DatagramSocket {
  readonly family = 4;
  readonly from: EndpointWords = endpointWords(parseSocketAddress("0.0.0.0:0")!);
  segment = 0;
  readonly tos = 0;
  readonly crowded = false;
  readonly errors = 0;
  readonly refused = 0;
  readonly memory = { received: 0, receiveBound: 0, sent: 0, sendBound: 0, drops: 0 };
  readonly waiting: { bytes: Uint8Array; from: RemoteInfo }[] = [];

  constructor(readonly socket: Socket, readonly wasm: Wasm) {}

  receive(at: number, _capacity: number): number {
    const datagram = this.waiting.shift();
    if (!datagram) return 0;
    const { bytes, from: { address, port } } = datagram;
    this.wasm.memory.bytes.set(bytes, at);
    this.segment = bytes.length;
    this.from.set(endpointWords(parseSocketAddress(`${address}:${port}`)!));
    return bytes.length;
  }

  send(to: EndpointWords, at: number, length: number, segment: number, _tos: number): number {
    const size = segment || length;
    const address = new Uint8Array(to.buffer, 8, 4).join(".");
    for (let offset = 0; offset < length; offset += size) {
      const end = at + Math.min(offset + size, length);
      this.socket.send(this.wasm.memory.bytes.slice(at + offset, end), to[1]!, address);
    }
    return 0;
  }
}

class LoopSockets implements SocketFactory {
  constructor(readonly host: LoopHost, readonly wasm: Wasm) {}

  open(port: number, _mark: number, { opened, refused, readable }: Opening): void {
    const node = createSocket("udp4");
    const v4 = new LoopSocket(node, this.wasm);
    const call = () => {
      readable(v4);
      if (v4.waiting.length > 0) this.host.ready(call);
    };
    node.on("message", (bytes, from) => {
      v4.waiting.push({ bytes, from });
      this.host.ready(call);
    });
    node.on("error", (error) => {
      node.close();
      this.host.ready(() => refused(Object.assign(error, { errno: Errno.EADDRINUSE })));
    });
    node.bind(port, "127.0.0.1", () => {
      const { port } = node.address();
      const close = () => void node.close();
      this.host.ready(() => opened({ port, v4, v6: null, setMark: () => {}, close }));
    });
  }
}

/** An interface of this process. */
class Interface {
  readonly host = new LoopHost();
  readonly wasm = new Wasm();
  readonly link = new LoopLink(this.host, this.wasm);
  readonly up = Promise.withResolvers<number>();
  readonly engine: Engine;

  constructor(readonly privateKey: Key) {
    const { host, link, wasm } = this;
    this.engine = new Engine({
      host,
      link,
      sockets: new LoopSockets(host, wasm),
      control: null,
      wasm,
      features: new Features([], () => {}),
      interfaceIndex: () => 0,
      log: (_, message) => {
        const port = /is up, UDP port (\d+)$/.exec(message)?.[1];
        if (port !== undefined) this.up.resolve(Number(port));
      },
      lookup: () => {},
    });
    host.engine = this.engine;
    this.engine.start();
  }

  /** Configures it, like a program at a control socket. */
  set(lines: string): void {
    this.host.ready(() => {
      let reply = "";
      const pieces = this.engine.control.respond(`set=1\n${lines}\n`)!;
      for (let piece = pieces.next(); !piece.done; piece = pieces.next()) reply += piece.value;
      equal(reply, "errno=0\n\n");
    });
  }

  async received(count: number): Promise<Uint8Array[]> {
    const { written } = this.link.packets;
    for (const end = performance.now() + 5_000; written.length < count && performance.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return written;
  }
}

Deno.test("engines in one event loop, with sockets of Node, complete a handshake and transfer packets", async () => {
  const keys = Array.from({ length: 3 }, () => crypto.getRandomValues(new Uint8Array(32)));
  // One in the middle, and two that send to it.
  const interfaces = keys.map((key) => new Interface(key));
  const [middle, ...ends] = interfaces as [Interface, ...Interface[]];
  const ports = await Promise.all(interfaces.map(({ up }) => up.promise));
  const peer = (i: number, allowedIp: string, endpoint: string) =>
    `public_key=${formatHexKey(publicKey(keys[i]!))}\nallowed_ip=${allowedIp}\n${endpoint}`;
  middle.set(
    `private_key=${formatHexKey(keys[0]!)}\n${peer(1, "10.0.0.1/32", "")}${peer(2, "10.0.0.3/32", "")}`,
  );
  for (const [i, end] of ends.entries()) {
    end.set(
      `private_key=${formatHexKey(keys[i + 1]!)}\n` +
        peer(0, "10.0.0.0/24", `endpoint=127.0.0.1:${ports[0]}\n`),
    );
  }
  try {
    for (let i = 0; i < 5; i++) ends[0]!.link.send(superPacket("udp", 4_000, 1_000, i + 1));
    equal((await middle.received(5)).length >= 5, true);
    const bytes = middle.link.packets.written.reduce((sum, packet) => sum + packet.length - 38, 0);
    equal(bytes, 5 * 4_000);
    // Datagrams from another address than the sender's are dropped.
    ends[1]!.link.send(superPacket("udp", 100, 100));
    for (let i = 0; i < 100 && middle.engine.path.drops.wrongSource === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    equal(middle.engine.path.drops.wrongSource, 1);
  } finally {
    for (const { engine, host } of interfaces) {
      engine.stop("the test is over");
      host.ready(() => {});
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  deepEqual(interfaces.map(({ engine }) => engine.ended), Array(3).fill("the test is over"));
});
