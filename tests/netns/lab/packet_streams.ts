/**
 * Streams of random packets from one host to another and back, compared on arrival: each flow must arrive as it was
 * sent, without a gap and in order. It runs outside of both hosts, as a separate process, until its standard input
 * closes:
 *
 *     packet_streams.ts INTERFACE MTU PID PID SEED...
 *
 * It has a process of each host, and a seed for each direction: one seed sends from the first to the second host, two
 * send in both directions. At most a window of packets is in transit, so that no queue overflows. Sometimes the window
 * is small, so that there are few packets at a time, and sometimes large.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { comparable, cut, flowOf, seeded } from "./odd_packets.ts";
import { enterNetwork, LARGEST, PacketSocket } from "./packet_socket.ts";
import { mixedPackets } from "./super_packets.ts";

/** Packets after which the list is sent once more. */
const LIST = 700;
/** Packets that may be on the way, as the hosts' applications would see them. */
const WINDOWS = [1, 40, 400, 1_500, 1_500];
/** Packets sent with one window. */
const PACKETS_PER_WINDOW = 300;
/** Milliseconds without a packet after which those that are missing are lost. */
const SILENCE_TIMEOUT = 20_000;
/** Milliseconds from one look at our standard input to the next. */
const POLL_INTERVAL = 50;

/** The result of a direction. */
export interface Streamed {
  /** Packets as they were sent, super-packets among them. */
  sent: number;
  superPackets: number;
  /** Packets that these are cut into. */
  segments: number;
  /** Segments that arrived as they were sent and in order. */
  arrived: number;
  bytes: number;
  /** Writes to the interface, and how many of them were joined packets. */
  writes: number;
  joined: number;
  flows: number;
  /** The first error of each flow. */
  wrong: string[];
}

/** Segments of one flow. */
interface Expected {
  readonly segments: Uint8Array[];
  arrived: number;
  sent: number;
  wrong?: string;
}

/** One direction. */
class Stream {
  readonly #packets: { bytes: Uint8Array<ArrayBuffer>; flows: readonly Expected[] }[] = [];
  readonly #expected = new Map<string, Expected>();
  readonly #below: (bound: number) => number;
  readonly #buffer = new Uint8Array(LARGEST);
  #window = 1;
  #sent = 0;
  #superPackets = 0;
  #segments = 0;
  #seen = 0;
  #bytes = 0;
  #writes = 0;
  #joined = 0;

  constructor(
    readonly from: PacketSocket,
    readonly to: PacketSocket,
    seed: number,
    mtu: number,
    back: boolean,
  ) {
    this.#below = seeded(seed);
    const ends = back ? { from: inside(2), to: inside(1) } : { from: inside(1), to: inside(2) };
    for (const bytes of mixedPackets(seed, LIST, mtu, ends)) {
      const flows = cut(bytes).map((segment) => {
        const key = flowOf(segment);
        let flow = this.#expected.get(key);
        if (!flow) this.#expected.set(key, flow = { segments: [], arrived: 0, sent: 0 });
        flow.segments.push(comparable(segment));
        return flow;
      });
      this.#packets.push({ bytes, flows });
    }
  }

  /** Packets on the way. */
  get missing(): number {
    return this.#segments - this.#seen;
  }

  /** Sends the next packet, if the window is open. */
  send(): boolean {
    const { bytes, flows } = this.#packets[this.#sent % this.#packets.length]!;
    if (this.missing > 0 && this.missing + flows.length > this.#window) return false;
    if (this.#sent++ % PACKETS_PER_WINDOW === 0) this.#window = WINDOWS[this.#below(WINDOWS.length)]!;
    if (flows.length > 1) this.#superPackets++;
    for (const flow of flows) flow.sent++;
    this.#segments += flows.length;
    this.from.send(bytes, VIRTIO_HEADER);
    return true;
  }

  /** Receives what has arrived. @returns Whether there was anything. */
  receive(): boolean {
    const length = this.to.receive(this.#buffer);
    if (length === 0) return false;
    this.#writes++;
    if (this.#buffer[1] !== 0) this.#joined++;
    for (const segment of cut(this.#buffer.subarray(0, length))) {
      this.#seen++;
      this.#bytes += segment.length;
      const key = flowOf(segment);
      const flow = this.#expected.get(key);
      if (!flow) throw new Error(`a packet of a flow that nobody sent: ${segment.subarray(0, 80).toHex()}`);
      const wanted = flow.segments[flow.arrived % flow.segments.length]!;
      if (flow.arrived < flow.sent && Buffer.compare(comparable(segment), wanted) === 0) flow.arrived++;
      else {
        flow.wrong ??= `flow ${key}, after ${flow.arrived} packets: ${segment.subarray(0, 80).toHex()}, not ${
          wanted.subarray(0, 80).toHex()
        }`;
      }
    }
    return true;
  }

  get result(): Streamed {
    const flows = [...this.#expected.values()];
    return {
      sent: this.#sent,
      superPackets: this.#superPackets,
      segments: this.#segments,
      arrived: flows.reduce((count, flow) => count + flow.arrived, 0),
      bytes: this.#bytes,
      writes: this.#writes,
      joined: this.#joined,
      flows: flows.length,
      wrong: flows.flatMap(({ wrong }) => wrong ?? []),
    };
  }
}

/** Addresses inside the tunnel of the first and the second host: ADDRESSES in pair.ts. */
function inside(host: number) {
  return { 4: [10, 7, 0, host], 6: [0xfd, 7, ...Array<number>(13).fill(0), host] };
}

function main([name, mtu, one, other, ...seeds]: readonly string[]): void {
  const ends = [one, other].map((pid) => {
    enterNetwork(Number(pid));
    return { out: PacketSocket.sending(name!, true), in: PacketSocket.receiving(name!) };
  });
  const streams = seeds.map((seed, i) =>
    new Stream(ends[i]!.out, ends[1 - i]!.in, Number(seed), Number(mtu), i === 1)
  );
  console.log("ready");
  let going = true, looked = performance.now(), last = looked;
  const input = new StandardInput();
  while (going || streams.some(({ missing }) => missing > 0)) {
    let idle = true;
    for (const stream of streams) {
      if (going && stream.send()) idle = false;
      while (stream.receive()) idle = false;
    }
    const now = performance.now();
    if (!idle) last = now;
    else if (now - last > SILENCE_TIMEOUT) break;
    if (now - looked > POLL_INTERVAL) {
      looked = now;
      if (input.closed) going = false;
    }
    if (idle) ends[streams.length === 1 ? 1 : 0]!.in.wait(1);
  }
  console.log(JSON.stringify(streams.map(({ result }) => result)));
}

/** Whether the process that started us still wants it to continue. */
class StandardInput {
  readonly #libc = Deno.dlopen("libc.so.6", {
    poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  }).symbols;

  get closed(): boolean {
    const POLLHUP = 16;
    const entry = new Uint16Array(4);
    return this.#libc.poll(entry, 1n, 0) > 0 && (entry[3]! & POLLHUP) !== 0;
  }
}

main(Deno.args);
