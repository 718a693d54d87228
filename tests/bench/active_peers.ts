/**
 * Simulates many peers of one daemon. Each has its own port and one packet in progress at a time: a ping of any size
 * through the tunnel. It runs inside a host, as a separate process. Its only argument is {@linkcode Order} in JSON. It
 * prints when each of its two parts begins, and then its {@linkcode Outcome} in JSON.
 *
 * Packets are sealed here, but the answers are only counted and not opened, so that the daemon has most of the
 * processors.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { sleep } from "../netns/lab/exec.ts";
import { EPOLLIN } from "../../ffi/linux/constants.ts";
import { MovingArena } from "../../ffi/linux/arena.ts";
import { Epoll } from "../../ffi/linux/epoll.ts";
import { UdpSocket } from "../../ffi/linux/udp_socket.ts";
import { parseSocketAddress } from "../../core/config/endpoint.ts";
import { clampKey } from "../../core/config/key.ts";
import type { Milliseconds } from "../../core/protocol/clock.ts";
import { CookieJar } from "../../core/protocol/cookie.ts";
import { Drops } from "../../core/protocol/drops.ts";
import { endpointWords } from "../../core/protocol/endpoint.ts";
import {
  DATA_OVERHEAD,
  Initiation,
  INITIATION_LENGTH,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_DATA,
  MESSAGE_RESPONSE,
  messageType,
  writeIndex,
} from "../../core/protocol/messages.ts";
import { computed, multiplying } from "../../core/protocol/multiplication.ts";
import { Handshake, type Identity, Noise } from "../../core/protocol/noise.ts";
import { Peer } from "../../core/protocol/peer.ts";
import { StagedPackets } from "../../core/protocol/staged.ts";
import { publicKey } from "../../core/public_key.ts";
import type { Slot } from "../../wasm/instance.ts";
import { Wasm } from "../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../wasm/packet.ts";
import { percentile } from "./statistics.ts";

/** The argument of the program. */
export interface Order {
  readonly peers: number;
  /** The daemon's IPv4 address and port, and its public key in base64. */
  readonly address: string;
  readonly port: number;
  readonly publicKey: string;
  /** Inner IPv4 address that answers pings. */
  readonly target: string;
  /** Packets per second in the first part. In the second part, each answer is followed by the next packet. */
  readonly rate: number;
  /** How long each part takes. */
  readonly seconds: number;
}

/** The two parts. */
export type Phase = "paced" | "saturated";

/** The result of a part. */
export interface Outcome {
  readonly answered: number;
  readonly sent: number;
  readonly seconds: number;
  /** Milliseconds within which 99 % were answered. */
  readonly slowest: number;
}

/** Sizes of inner packets, in turns: as many small ones as large ones. */
const SIZES = [64, 1_300, 120, 576, 80, 1_300, 256, 900];
const MTU = 1_420;
/** Peers that wait for an answer at the same time, during handshakes (initiate.ts) and later. */
const HANDSHAKE_WINDOW = 32;
const WINDOW = 256;
/** Milliseconds of silence after which a missing answer counts as lost. */
const SILENCE = 200;
const CAPACITY = 65_536;

/** The keys of the peers, the same in every process. They protect nothing. */
export function peerKeys(count: number): Identity[] {
  return Array.from({ length: count }, (_, i) => {
    const privateKey = new Uint8Array(createHash("sha256").update(`active peer ${i}`).digest());
    clampKey(privateKey);
    return { privateKey, publicKey: publicKey(privateKey) };
  });
}

/** A peer's address inside the tunnel. */
export function innerAddress(i: number): [number, number, number, number] {
  return [10, 200, i >> 8, i & 255];
}

/** A peer. */
interface Active {
  readonly peer: Peer;
  readonly identity: Identity;
  readonly handshake: Handshake;
  readonly jar: CookieJar;
  readonly socket: UdpSocket;
  readonly address: Uint8Array;
  slot: Slot;
  /** Whether a packet or a handshake waits for its answer, and since when. */
  waits: boolean;
  since: number;
}

class ActivePeers {
  readonly #order: Order;
  readonly #wasm = new Wasm();
  readonly #arena = new MovingArena(this.#wasm.memory);
  readonly #epoll = new Epoll(this.#arena);
  readonly #noise = new Noise(
    this.#wasm,
    (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
    new Drops(),
  );
  readonly #to: Uint32Array;
  readonly #in = this.#arena.allocate(CAPACITY);
  readonly #out = this.#arena.allocate(CAPACITY);
  /** A ping of each size, its virtio header first. */
  readonly #pings: { at: number; length: number }[];
  readonly #all: Active[];
  readonly #byDescriptor = new Map<number, Active>();
  #waiting = 0;
  #answered = 0;
  #sent = 0;
  #times: number[] = [];

  constructor(order: Order) {
    this.#order = order;
    this.#to = endpointWords(parseSocketAddress(`${order.address}:${order.port}`)!);
    this.#pings = SIZES.map((size) => this.#ping(size));
    const daemon = Uint8Array.fromBase64(order.publicKey);
    const staged = new StagedPackets<Peer>(new Drops());
    this.#all = peerKeys(order.peers).map((identity, i): Active => {
      const peer = new Peer(1, daemon, staged);
      const features = { segment: false, gro: false };
      return {
        peer,
        identity,
        handshake: new Handshake(peer, true),
        jar: new CookieJar(this.#wasm, daemon),
        socket: UdpSocket.open(this.#arena, { family: 4, port: 0, mark: 0, features }),
        address: Uint8Array.from(innerAddress(i)),
        slot: 0,
        waits: false,
        since: 0,
      };
    });
    for (const active of this.#all) {
      this.#byDescriptor.set(active.socket.fd, active);
      this.#epoll.add(active.socket.fd, EPOLLIN);
    }
  }

  /** Makes a session with each peer. */
  shakeHands(): void {
    let left = [...this.#all];
    while (left.length > 0) {
      for (const active of left) {
        if (this.#waiting >= HANDSHAKE_WINDOW) break;
        if (!active.waits) this.#initiate(active);
      }
      if (!this.#receive(SILENCE)) this.#giveUp();
      left = left.filter(({ slot }) => slot === 0);
    }
  }

  /** Sends at an even rate. */
  paced(): Outcome {
    const { rate, seconds } = this.#order;
    const start = this.#begin();
    for (let next = 0; performance.now() < start + seconds * 1e3;) {
      const due = (performance.now() - start) / 1e3 * rate;
      for (; this.#sent < due; next++) this.#send(this.#all[next % this.#all.length]!, next);
      this.#receive(1);
    }
    while (this.#waiting > 0 && this.#receive(SILENCE));
    return this.#outcome(seconds);
  }

  /** Sends the next packet whenever one is answered. */
  saturated(): Outcome {
    const { seconds } = this.#order;
    const start = this.#begin();
    for (let next = 0; performance.now() < start + seconds * 1e3;) {
      while (this.#waiting < WINDOW) {
        const active = this.#all[next % this.#all.length]!;
        next++;
        if (!active.waits) this.#send(active, next);
      }
      if (!this.#receive(SILENCE)) this.#giveUp();
    }
    return this.#outcome((performance.now() - start) / 1e3);
  }

  #begin(): number {
    this.#giveUp();
    this.#answered = this.#sent = 0;
    this.#times = [];
    return performance.now();
  }

  #outcome(seconds: number): Outcome {
    if (this.#answered < 0.9 * this.#sent) {
      throw new Error(`Only ${this.#answered} of ${this.#sent} packets were answered`);
    }
    return {
      answered: this.#answered,
      sent: this.#sent,
      seconds,
      slowest: percentile(this.#times, 0.99),
    };
  }

  /** Missing answers count as lost. */
  #giveUp(): void {
    for (const active of this.#all) active.waits = false;
    this.#waiting = 0;
  }

  #wait(active: Active): void {
    if (!active.waits) this.#waiting++;
    active.waits = true;
    active.since = performance.now();
  }

  #answer(active: Active): void {
    if (!active.waits) return;
    active.waits = false;
    this.#waiting--;
  }

  #initiate(active: Active): void {
    const { identity, handshake, jar, socket } = active;
    const message = new Uint8Array(INITIATION_LENGTH);
    const now = { boot: performance.now() as Milliseconds, wall: BigInt(Date.now()) * 1_000_000n };
    if (!computed(this.#wasm, this.#noise.createInitiation(message, handshake, identity, now))) {
      throw new TypeError("The daemon's public key is of low order");
    }
    writeIndex(message, Initiation.sender, socket.fd);
    jar.addMacs(message, now.boot);
    this.#wasm.memory.bytes.set(message, this.#out);
    this.#wait(active);
    socket.send(this.#to, this.#out, message.length, 0, 0);
  }

  #send(active: Active, turn: number): void {
    const { at, length } = this.#pings[turn % this.#pings.length]!;
    const { bytes, view } = this.#wasm.memory;
    const ip = at + VIRTIO_HEADER;
    bytes.set(active.address, ip + 12);
    view.setUint16(ip + 10, 0);
    view.setUint16(ip + 10, checksum(bytes, ip, 20));
    this.#wasm.sealBatch(active.slot, at, length, this.#out, CAPACITY, MTU, 0, 1);
    this.#wait(active);
    this.#sent++;
    active.socket.send(this.#to, this.#out, this.#wasm.sealed.written, 0, 0);
  }

  /** Receives for this many milliseconds. @returns Whether anything arrived. */
  #receive(timeout: number): boolean {
    const ready = this.#epoll.wait(timeout);
    for (let i = 0; i < ready; i++) this.#received(this.#byDescriptor.get(this.#epoll.readyFd(i))!);
    return ready > 0;
  }

  #received(active: Active): void {
    const length = active.socket.receive(this.#in, CAPACITY);
    if (length === 0) return;
    const datagram = this.#wasm.memory.bytes.subarray(this.#in, this.#in + length);
    switch (messageType(datagram)) {
      case MESSAGE_DATA:
        if (length === DATA_OVERHEAD || !active.waits) return;
        this.#answered++;
        this.#times.push(performance.now() - active.since);
        return this.#answer(active);
      case MESSAGE_RESPONSE:
        return this.#established(active, datagram.slice());
      case MESSAGE_COOKIE_REPLY:
        active.jar.consumeReply(datagram.slice(), performance.now() as Milliseconds);
        return this.#answer(active);
    }
  }

  #established(active: Active, response: Uint8Array): void {
    if (active.slot !== 0) return;
    const steps = multiplying(
      this.#wasm,
      this.#noise.consumeResponse(response, active.handshake, active.identity),
    );
    let step = steps.next();
    while (!step.done) step = steps.next();
    if (!step.value) return;
    const { remoteIndex } = active.handshake;
    active.slot = this.#noise.deriveKeys(
      active.handshake,
      (sendKey, receiveKey) => this.#wasm.install(sendKey, receiveKey, remoteIndex),
    );
    this.#answer(active);
  }

  /** Writes an ICMP echo request to the target, without the source address. */
  #ping(size: number): { at: number; length: number } {
    const length = VIRTIO_HEADER + size;
    const at = this.#arena.allocate(length);
    const { bytes, view } = this.#wasm.memory;
    const ip = at + VIRTIO_HEADER;
    bytes.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 1], ip);
    view.setUint16(ip + 2, size);
    bytes.set(this.#order.target.split(".").map(Number), ip + 16);
    bytes[ip + 20] = 8;
    view.setUint16(ip + 22, checksum(bytes, ip + 20, size - 20));
    return { at, length };
  }
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
function checksum(bytes: Uint8Array, at: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i += 2) sum += bytes[at + i]! << 8 | bytes[at + i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

async function main(order: Order): Promise<void> {
  const peers = new ActivePeers(order);
  peers.shakeHands();
  for (const phase of ["paced", "saturated"] as const satisfies Phase[]) {
    // The benchmark reads the daemon's processor time meanwhile.
    console.log(`${phase} begins`);
    await sleep(300);
    console.log(`${phase} ${JSON.stringify(peers[phase]())}`);
    await sleep(300);
  }
}

if (import.meta.main) await main(JSON.parse(Deno.args[0]!) as Order);
