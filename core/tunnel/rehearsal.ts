/**
 * Warms up the packet path: runs its code before the first packet, so that V8 has compiled it by then. The first
 * handshake then takes a third of the time (tests/bench/FINDINGS.md). A second engine tunnels pings to invented peers.
 * It uses the same classes and the same memory as the real engine, because V8 compiles for the classes that it has
 * seen. But it reads from Unix sockets, and its UDP socket keeps what is sent (`UdpSocket.keeping`). So nothing leaves
 * the process, and it has its own keys, counters and timers.
 *
 * @module
 */

import { type Arena, ArenaPointer } from "../../ffi/linux/arena.ts";
import { LinuxHost } from "../../ffi/linux/host.ts";
import { Tun } from "../../ffi/linux/tun.ts";
import { UdpSocket } from "../../ffi/linux/udp_socket.ts";
import { UnixPair } from "../../ffi/linux/unix_pair.ts";
import type { Wasm } from "../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../wasm/packet.ts";
import { parseSocketAddress } from "../config/endpoint.ts";
import { KEY_LENGTH } from "../config/key.ts";
import { parsePrefix } from "../config/prefix.ts";
import type { LaneMemory, LaneThreads, Link, LinkEvents, Opening, SocketFactory } from "../engine/doors.ts";
import { Engine } from "../engine/engine.ts";
import { Features } from "../engine/features.ts";
import { Board } from "../engine/lanes/board.ts";
import type { Lane } from "../engine/lanes/lane.ts";
import { DEFAULT_MTU } from "../engine/path.ts";
import type { Milliseconds, Now } from "../protocol/clock.ts";
import { Device } from "../protocol/device.ts";
import { type EndpointWords, endpointWords } from "../protocol/endpoint.ts";
import type { Keypair } from "../protocol/keypair.ts";
import { INITIATION_LENGTH, RESPONSE_LENGTH } from "../protocol/messages.ts";
import { multiplying } from "../protocol/multiplication.ts";
import type { Peer } from "../protocol/peer.ts";

/** Bytes of a ping as `ping` sends it, with its IP header. */
const PING = 84;
/**
 * Bytes of every second ping. V8 compiles WebAssembly after a certain amount of work, and a few long packets are more work
 * than many short ones.
 */
const LONG_PING = 1_400;
/**
 * Pings each way. With these and 30 real ones V8 compiles the packet path (core/v8_flags.ts). More of them make the start
 * longer and the memory larger, and the first packets hardly faster.
 */
const PINGS = 30;
/**
 * After this many pings another peer makes a handshake, because V8 learns nothing from the first eight calls of a
 * function.
 */
const PINGS_PER_PEER = 8;
/** Turns that an engine needs to handle a handshake message. */
const TURNS = 8;
/** Bytes of the region for what peers send. */
const CAPACITY = 2_048;
/** The endpoint of all peers. Nothing is sent to it. */
const PEER_ENDPOINT = "127.0.0.1:9";
/** An idle machine needs 25 to 45 ms. */
const TIME_LIMIT = 100;

/** The other end of the tunnel: the keys and sessions of a peer. */
interface Far {
  readonly device: Device;
  /** The engine, as its peer. */
  readonly peer: Peer;
  /** Last byte of its address inside the tunnel. */
  readonly address: number;
}

/** The parts of the system that an engine needs, made from descriptors that are not connected to anything. */
class Stage implements Link, SocketFactory, Disposable {
  readonly name = "rehearsal";
  readonly location = undefined;
  readonly offloads = { tcp: true, udp: true };
  readonly host: LinuxHost;
  readonly packets: Tun;
  /** The other ends of the device and of the socket. */
  readonly inside: UnixPair;
  readonly outside: UnixPair;
  readonly sender: UdpSocket;
  readonly receiver: UdpSocket;
  readonly #open: DisposableStack;

  constructor(arena: Arena) {
    using made = new DisposableStack();
    const closing = <Part extends { close(): void }>(part: Part) => made.adopt(part, (part) => part.close());
    this.host = closing(new LinuxHost(arena));
    this.inside = closing(UnixPair.open());
    this.outside = closing(UnixPair.open());
    this.packets = Tun.over(arena, this.inside.one);
    this.receiver = UdpSocket.over(arena, this.outside.one, endpoint());
    this.sender = closing(UdpSocket.keeping(arena));
    this.#open = made.move();
  }

  watch(events: LinkEvents): void {
    this.host.watch(this.packets.fd, () => events.readable());
    events.state({ up: true, mtu: DEFAULT_MTU });
  }

  open(_port: number, _mark: number, { opened, readable }: Opening): void {
    this.host.watch(this.receiver.fd, () => readable(this.receiver));
    opened({ port: 1, v4: this.sender, v6: null, setMark: () => {}, close: () => {} });
  }

  /** Closed with the stage. */
  close(): void {}

  [Symbol.dispose](): void {
    this.#open.dispose();
  }
}

/** The lanes of an engine that has not started any. An engine that may have lanes calls other functions. */
class NoLanes implements LaneThreads {
  readonly board: Board = new Board();
  readonly limit = 0;
  readonly considerate = true;

  own(): Lane {
    throw new Error("no lane is started in a rehearsal");
  }

  start(): void {}

  memory(): LaneMemory {
    throw new Error("no lane is started in a rehearsal");
  }

  publish(): void {}

  wait(): void {}

  idleProcessors(): number {
    return 0;
  }

  busy(): number {
    return 0;
  }

  listen(): void {}
}

class Rehearsal {
  readonly #stage: Stage;
  readonly #engine: Engine;
  readonly #arena: Arena;
  readonly #wasm: Wasm;
  /** A ping with its virtio header, and what a peer sends. */
  readonly #ping: number;
  readonly #sent: number;
  readonly #fars: Far[] = [];

  constructor(stage: Stage, arena: Arena, wasm: Wasm, lanes: boolean) {
    this.#stage = stage;
    this.#arena = arena;
    this.#wasm = wasm;
    this.#ping = arena.allocate(VIRTIO_HEADER + LONG_PING);
    this.#sent = arena.allocate(CAPACITY);
    this.#engine = new Engine({
      host: stage.host,
      link: stage,
      sockets: stage,
      control: null,
      wasm,
      lanes: lanes ? new NoLanes() : null,
      features: new Features([], () => {}),
      interfaceIndex: () => 0,
      log: () => {},
      lookup: () => {},
    });
  }

  /** Ends it and erases its keys. */
  close(): void {
    this.#engine.close();
    for (const { device } of this.#fars) device.close(this.#now);
  }

  *run(): Generator<void, void> {
    this.#engine.start();
    withRandomKey((key) => this.#engine.device.setPrivateKey(key, this.#now));
    for (let ping = 0; ping < PINGS; ping++) {
      if (ping % PINGS_PER_PEER === 0) yield* this.#shakeHands(this.#addPeer());
      const far = this.#fars[ping % this.#fars.length]!;
      const length = ping % 2 === 0 ? PING : LONG_PING;
      this.#sendPing(far, length);
      this.#turn();
      yield;
      this.#receivePing(far, length);
      this.#turn();
      // The source address of datagrams, which otherwise only the kernel adds.
      this.#stage.receiver.rehearse(this.#stage.sender);
      yield;
    }
  }

  get #now(): Now {
    const { host } = this.#stage;
    return { boot: host.boot() as Milliseconds, wall: host.wall() };
  }

  #addPeer(): Far {
    const { device } = this.#engine;
    const address = this.#fars.length + 2;
    const far = new Device({ crypto: this.#wasm, keypairs: this.#wasm, random });
    withRandomKey((key) => far.setPrivateKey(key, this.#now));
    far.up(this.#now);
    const peer = far.addPeer(device.publicKey!)!;
    far.setEndpoint(peer, endpoint());
    const near = device.addPeer(far.publicKey!)!;
    device.setEndpoint(near, endpoint());
    device.insertAllowedIp(near, parsePrefix(`10.0.0.${address}/32`)!);
    this.#fars.push({ device: far, peer, address });
    return this.#fars.at(-1)!;
  }

  /** Makes a handshake that the engine begins. With the next peer, the peer begins it. */
  *#shakeHands(far: Far): Generator<void, void> {
    yield;
    const { device, peer, address } = far;
    if (address % 2 === 0) {
      this.#sendPing(far, PING);
      this.#turn();
      yield;
      this.#deliver(device, INITIATION_LENGTH);
    } else {
      device.sessions.sendInitiation(peer, false, this.#now);
      this.#handOver(device);
    }
    for (let turn = 0; turn < TURNS; turn++) {
      this.#turn();
      yield;
    }
    if (address % 2 === 1) this.#deliver(device, RESPONSE_LENGTH);
  }

  /** A turn of the engine. */
  #turn(): void {
    this.#stage.host.wait(false);
    this.#engine.turn();
  }

  /** Passes the engine's last handshake message to a peer, and the peer's answer to the engine. */
  #deliver(device: Device, length: number): void {
    const { message } = this.#engine.path;
    const bytes = this.#wasm.memory.bytes.slice(message, message + length);
    if (device.handshakes.arrived(bytes, this.#now)) {
      for (
        const _ of multiplying(device.crypto, device.handshakes.steps(bytes, endpoint(), false, this.#now))
      );
    }
    this.#handOver(device);
  }

  /** Passes a peer's handshake messages to the engine. */
  #handOver(device: Device): void {
    for (let output = device.poll(); output !== null; output = device.poll()) {
      if (output.kind !== "handshake") continue;
      this.#wasm.memory.bytes.set(output.bytes, this.#sent);
      this.#stage.outside.write(this.#pointer(this.#sent), output.bytes.length);
    }
  }

  /** A program on this machine pings a peer. */
  #sendPing({ address }: Far, length: number): void {
    this.#writePing(1, address, length);
    this.#stage.inside.write(this.#pointer(this.#ping), VIRTIO_HEADER + length);
  }

  /** A peer pings this machine. Packets that came out of the tunnel before are discarded. */
  #receivePing({ peer, address }: Far, length: number): void {
    const keypair: Keypair | null = peer.keypairs.next ?? peer.keypairs.current;
    if (keypair === null) return;
    this.#writePing(address, 1, length);
    const size = VIRTIO_HEADER + length;
    this.#wasm.sealBatch(keypair.slot, this.#ping, size, this.#sent, CAPACITY, DEFAULT_MTU, 0, 1);
    this.#stage.outside.write(this.#pointer(this.#sent), this.#wasm.sealed.written);
    this.#stage.inside.read(this.#pointer(this.#sent), CAPACITY);
  }

  #writePing(from: number, to: number, length: number): void {
    const { bytes } = this.#wasm.memory;
    const ip = this.#ping + VIRTIO_HEADER;
    bytes.fill(0, this.#ping, ip + length);
    bytes.set([0x45, 0, length >> 8, length & 0xff, 0, 0, 0x40, 0, 64, 1], ip);
    bytes.set([10, 0, 0, from, 10, 0, 0, to, 8], ip + 12);
  }

  #pointer(at: number): Deno.PointerObject {
    return new ArenaPointer(this.#arena, at).value;
  }
}

/**
 * Warms up, a little with each step. Other work may be done between two steps. It ends by itself, or at once with
 * `return`, and releases everything. If the system refuses something that it needs, it ends without an error.
 *
 * @param arena Memory of `wasm`.
 * @param lanes Whether the engine may have lanes.
 * @param budget Milliseconds of work after which it ends in any case.
 */
export function* rehearse(
  arena: Arena,
  wasm: Wasm,
  lanes: boolean,
  budget = TIME_LIMIT,
): Generator<void, void> {
  let stage: Stage;
  try {
    stage = new Stage(arena);
  } catch {
    // A tunnel works without warming up.
    return;
  }
  using closing = new DisposableStack();
  closing.use(stage);
  const rehearsal = closing.adopt(new Rehearsal(stage, arena, wasm, lanes), (rehearsal) => rehearsal.close());
  const steps = rehearsal.run();
  for (let spent = 0; spent < budget;) {
    const before = stage.host.boot();
    if (steps.next().done) return;
    spent += stage.host.boot() - before;
    yield;
  }
}

function endpoint(): EndpointWords {
  return endpointWords(parseSocketAddress(PEER_ENDPOINT)!);
}

function random(out: Uint8Array): Uint8Array {
  return crypto.getRandomValues(out as Uint8Array<ArrayBuffer>);
}

function withRandomKey(use: (key: Uint8Array) => void): void {
  const key = random(new Uint8Array(KEY_LENGTH));
  use(key);
  key.fill(0);
}
