import { deepEqual, equal } from "node:assert/strict";
import { IpHost } from "../../../core/net/ip_host.ts";
import type { UserNet } from "../../../core/net/user_net.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { netWithoutEngine } from "../../net_without_engine.ts";

const OURS = Uint8Array.of(10, 9, 0, 1);
const THEIRS = Uint8Array.of(10, 9, 0, 2);
const FIN = 1, SYN = 2, ACK = 16;
/** Marks a packet whose checksum needs no check. */
const NEEDS_CSUM = 1;
const TCP = VIRTIO_HEADER + 20;

/** A host without an engine, and the net on it. */
class Host {
  readonly ip: IpHost;
  readonly net: UserNet;
  readonly #wasm = new Wasm();
  readonly #at = this.#wasm.memory.allocate(70_000);

  constructor() {
    this.ip = new IpHost(this.#wasm, {
      addresses: [OURS],
      mtu: 1_420,
      maxMemory: 1 << 20,
      maxConnections: 10,
      random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
      now: () => performance.now(),
      wake: () => {},
    });
    this.net = netWithoutEngine(this.ip, [OURS]);
  }

  /** The next segment that the host sends. */
  sent(): { port: number; seq: number; flags: number } {
    this.ip.read(this.#at, 70_000);
    const view = new DataView(this.#wasm.memory.bytes.buffer, this.#at + TCP);
    return { port: view.getUint16(0), seq: view.getUint32(4), flags: view.getUint8(13) };
  }

  /** A segment without payload arrives from port 80. */
  arrive(segment: { port: number; seq: number; ack: number; flags: number }): void {
    const packet = new Uint8Array(TCP + 20);
    packet[0] = NEEDS_CSUM;
    packet.set([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, ...THEIRS, ...OURS], VIRTIO_HEADER);
    const view = new DataView(packet.buffer, TCP);
    view.setUint16(0, 80);
    view.setUint16(2, segment.port);
    view.setUint32(4, segment.seq);
    view.setUint32(8, segment.ack);
    view.setUint16(12, 5 << 12 | segment.flags);
    view.setUint16(14, 10_000);
    this.#wasm.memory.bytes.set(packet, this.#at);
    this.ip.write(this.#at, packet.length);
  }
}

Deno.test("a connection is open even if the peer has ended its stream in the same turn", async () => {
  const host = new Host();
  const opened: string[] = [];
  const connecting = host.net.connect({
    hostname: "10.9.0.2",
    port: 80,
    signal: AbortSignal.timeout(1_000),
  }, (conn) => opened.push(conn.remoteAddr.hostname));
  await Promise.resolve();
  await Promise.resolve();
  const { port, seq, flags } = host.sent();
  equal(flags, SYN);
  host.arrive({ port, seq: 1_000, ack: seq + 1 >>> 0, flags: SYN | ACK });
  host.arrive({ port, seq: 1_001, ack: seq + 1 >>> 0, flags: FIN | ACK });
  deepEqual(opened, []);
  equal(host.ip.settle(), true);
  deepEqual(opened, ["10.9.0.2"]);
  using conn = await connecting;
  equal(await conn.read(new Uint8Array(1)), null);
  host.net.close();
});
