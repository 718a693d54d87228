/**
 * Machines without a kernel: hosts, links, sockets and control sockets in memory, on a simulated clock.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { formatHexKey, type Key } from "../../../core/config/key.ts";
import type {
  BoundSockets,
  ControlEvents,
  ControlSocket,
  ControlStream,
  DatagramSocket,
  Host,
  Link,
  LinkEvents,
  LinkState,
  Opening,
  Refusal,
  SocketFactory,
  StreamInterest,
} from "../../../core/engine/doors.ts";
import { Engine } from "../../../core/engine/engine.ts";
import { Features } from "../../../core/engine/features.ts";
import type { EndpointWords } from "../../../core/protocol/endpoint.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { publicKey } from "../../../core/public_key.ts";
import { Errno } from "../../../core/uapi/errno.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { KeptPackets } from "./bench_pair.ts";
import { MemoryLanes } from "./memory_lanes.ts";

/** The address on which a machine listens. */
export const PORT = 51_820;

/** A source of events for an engine. */
interface Source {
  ready(): boolean;
  call(): void;
}

/** A host whose clock only moves when a test moves it. */
export class MemoryHost implements Host {
  /** Milliseconds since boot. */
  now = 1_000_000;
  /** The requested turn. */
  alarmAt = Infinity;
  readonly #sources = new Set<Source>();

  boot(): number {
    return this.now;
  }

  wall(): bigint {
    return 1_700_000_000_000_000_000n + BigInt(Math.round(this.now * 1e6));
  }

  alarm(at: number): void {
    this.alarmAt = Math.min(this.alarmAt, at);
  }

  watch(source: Source): void {
    this.#sources.add(source);
  }

  forget(source: Source): void {
    this.#sources.delete(source);
  }

  /** The number of sources. */
  get watched(): number {
    return this.#sources.size;
  }

  /** Whether a turn would have something to do. */
  get due(): boolean {
    return this.alarmAt <= this.now || [...this.#sources].some((source) => source.ready());
  }

  dispatch(): void {
    if (this.alarmAt <= this.now) this.alarmAt = Infinity;
    for (const source of [...this.#sources]) if (source.ready()) source.call();
  }
}

/** A network interface. A test writes to it and reads from it. */
export class MemoryLink implements Link {
  readonly name = "mem0";
  readonly offloads = { tcp: true, udp: true };
  readonly location = undefined;
  readonly packets: KeptPackets;
  closed = false;
  /** Descriptors that are not watched. */
  paused: ReadonlySet<number> = new Set();
  current: LinkState = { up: false, mtu: 1_420 };
  #events: LinkEvents | null = null;
  /** The events that the engine has not been notified of. */
  readonly #news: ((events: LinkEvents) => void)[] = [];
  readonly #sources: Source[] = [
    { ready: () => this.#news.length > 0, call: () => this.#news.shift()!(this.#events!) },
    {
      ready: () => this.packets.waiting.length > 0 && !this.paused.has(this.packets.fd),
      call: () => this.#events!.readable(),
    },
  ];

  constructor(readonly host: MemoryHost, wasm: Wasm) {
    this.packets = new KeptPackets(wasm);
  }

  watch(events: LinkEvents): void {
    this.#events = events;
    for (const source of this.#sources) this.host.watch(source);
    events.state(this.current);
  }

  /** Changes its state. */
  set(state: Partial<LinkState>): void {
    this.current = { ...this.current, ...state };
    const { current } = this;
    this.#news.push((events) => events.state(current));
  }

  /** Deletes it. */
  remove(): void {
    this.#news.push((events) => events.gone("somebody took it away"));
  }

  close(): void {
    this.closed = true;
    for (const source of this.#sources) this.host.forget(source);
  }
}

/** The wire: it connects sockets by address and port. */
export class MemoryWire {
  readonly #sockets = new Map<string, MemorySocket>();
  /** Called with everything that is sent. */
  tap: (bytes: Uint8Array, segment: number) => void = () => {};

  /** @returns False if the address is in use. */
  add(socket: MemorySocket): boolean {
    const place = placeOf(socket.address);
    if (this.#sockets.has(place)) return false;
    this.#sockets.set(place, socket);
    return true;
  }

  remove(socket: MemorySocket): void {
    this.#sockets.delete(placeOf(socket.address));
  }

  at(to: EndpointWords): MemorySocket | undefined {
    return this.#sockets.get(placeOf(to));
  }
}

function placeOf(words: EndpointWords): string {
  return words.slice(0, 7).join();
}

/** A UDP socket on the wire. */
class MemorySocket implements DatagramSocket {
  readonly family = 4;
  readonly segmentation = true;
  readonly from: EndpointWords = new Uint32Array(12) as EndpointWords;
  segment = 0;
  readonly tos = 0;
  readonly crowded = false;
  readonly errors = 0;
  readonly refused = 0;
  readonly memory = { received: 0, receiveBound: 0, sent: 0, sendBound: 0, drops: 0 };
  readonly inbox: { bytes: Uint8Array; segment: number; from: EndpointWords }[] = [];

  constructor(
    readonly wire: MemoryWire,
    readonly machine: MemorySockets,
    readonly address: EndpointWords,
    readonly fd: number,
  ) {}

  receive(at: number, _capacity: number): number {
    const train = this.inbox.shift();
    if (!train) return 0;
    this.machine.at(at, train.bytes.length).set(train.bytes);
    this.segment = train.segment;
    this.from.set(train.from);
    return train.bytes.length;
  }

  send(to: EndpointWords, at: number, length: number, segment: number, _tos: number): number {
    this.deliver(to, this.machine.at(at, length).slice(), segment || length);
    return 0;
  }

  /** Puts a train on the wire. */
  deliver(to: EndpointWords, bytes: Uint8Array, segment: number): void {
    this.wire.tap(bytes, segment);
    this.wire.at(to)?.inbox.push({ bytes, segment, from: this.address });
  }
}

/** The reason why sockets cannot be opened. */
class Taken extends Error implements Refusal {
  readonly errno = Errno.EADDRINUSE;
}

/** Opens sockets of one machine, at once or when a test allows it. */
export class MemorySockets implements SocketFactory {
  /** Whether opening takes until {@linkcode finish}. */
  slow = false;
  /** The number of open sockets. */
  openCount = 0;
  /** The last socket that was opened. */
  last: MemorySocket | null = null;
  /** Descriptors that are not watched. */
  paused: ReadonlySet<number> = new Set();
  /** Memory at an address of packet memory, if it may be a lane's. */
  at: (address: number, length: number) => Uint8Array = (address, length) =>
    this.wasm.memory.bytes.subarray(address, address + length);
  #lastPort = 40_000;
  #lastFd = 10;
  #waiting: (() => void)[] = [];
  readonly #finished: Source = {
    ready: () => this.#done.length > 0,
    call: () => this.#done.shift()!(),
  };
  readonly #done: (() => void)[] = [];

  constructor(
    readonly host: MemoryHost,
    readonly wire: MemoryWire,
    readonly wasm: Wasm,
    readonly address: string,
  ) {
    host.watch(this.#finished);
  }

  /** Lets pending openings finish. */
  finish(): void {
    this.#done.push(...this.#waiting);
    this.#waiting = [];
  }

  open(port: number, _mark: number, opening: Opening): void {
    if (this.slow) this.#waiting.push(() => this.#open(port, opening));
    else this.#open(port, opening);
  }

  #open(asked: number, { opened, refused, readable }: Opening): void {
    const port = asked || ++this.#lastPort;
    const address = endpointWords(parseSocketAddress(`${this.address}:${port}`)!);
    const v4 = new MemorySocket(this.wire, this, address, ++this.#lastFd);
    this.last = v4;
    if (!this.wire.add(v4)) return refused(new Taken(`port ${port} is taken`));
    this.openCount++;
    const source = { ready: () => v4.inbox.length > 0 && !this.paused.has(v4.fd), call: () => readable(v4) };
    this.host.watch(source);
    const sockets: BoundSockets = {
      port,
      v4,
      v6: null,
      setMark: () => {},
      close: () => {
        this.openCount--;
        this.wire.remove(v4);
        this.host.forget(source);
      },
    };
    opened(sockets);
  }
}

/** A program at a control socket. */
export class MemoryClient {
  /** The received replies. */
  heard = "";
  /** Whether the engine has closed the connection. */
  over = false;
  readonly #toEngine: Uint8Array[] = [];
  #gone = false;

  /** Sends bytes. */
  send(text: string): void {
    this.#toEngine.push(new TextEncoder().encode(text));
  }

  /** Disconnects without a request. */
  hangUp(): void {
    this.#gone = true;
  }

  /** The engine's end. */
  stream(host: MemoryHost): ControlStream {
    let interest: StreamInterest = "nothing";
    let source: Source | undefined;
    return {
      read: (into) => {
        const bytes = this.#toEngine.shift();
        if (!bytes) return this.#gone ? 0 : -1;
        into.set(bytes);
        return bytes.length;
      },
      write: (bytes) => {
        if (this.#gone) return -2;
        this.heard += new TextDecoder().decode(bytes);
        return bytes.length;
      },
      watch: (ready) => {
        const waits = () => this.#toEngine.length > 0 || this.#gone;
        source = {
          ready: () => interest === "writing" || interest === "reading" && waits(),
          call: ready,
        };
        host.watch(source);
      },
      wait: (next) => interest = next,
      close: () => {
        this.over = true;
        if (source) host.forget(source);
      },
    };
  }
}

/** A control socket without a file. */
export class MemoryControl implements ControlSocket {
  closed = false;
  /** Thrown by the next attempts to accept, as if no descriptor were free. */
  refusal: Refusal | null = null;
  attempts = 0;
  #listening = true;
  #deleted = false;
  readonly #waiting: MemoryClient[] = [];
  #sources: Source[] = [];

  constructor(readonly host: MemoryHost) {}

  /** A program connects. */
  connect(): MemoryClient {
    const client = new MemoryClient();
    this.#waiting.push(client);
    return client;
  }

  /** Deletes the socket. */
  delete(): void {
    this.#deleted = true;
  }

  watch({ waiting, deleted }: ControlEvents): void {
    this.#sources = [
      { ready: () => this.#listening && this.#waiting.length > 0, call: waiting },
      { ready: () => this.#deleted, call: deleted },
    ];
    for (const source of this.#sources) this.host.watch(source);
  }

  listen(on: boolean): void {
    this.#listening = on;
  }

  accept(): ControlStream | null {
    this.attempts++;
    if (this.refusal) throw this.refusal;
    return this.#waiting.shift()?.stream(this.host) ?? null;
  }

  close(): void {
    this.closed = true;
    for (const source of this.#sources) this.host.forget(source);
  }
}

/** A machine with one interface. */
export class Machine {
  readonly host = new MemoryHost();
  readonly wasm = new Wasm();
  readonly link: MemoryLink;
  readonly sockets: MemorySockets;
  readonly control: MemoryControl;
  readonly engine: Engine;
  readonly log: string[] = [];
  readonly lanes: MemoryLanes | null;

  /** @param lanes The number of lanes, and the choice of the next one. */
  constructor(
    wire: MemoryWire,
    readonly address: string,
    { lanes: count = 0, random }: { lanes?: number; random?: () => number } = {},
  ) {
    const { host, wasm } = this;
    this.link = new MemoryLink(host, wasm);
    this.sockets = new MemorySockets(host, wire, wasm, address);
    this.control = new MemoryControl(host);
    this.lanes = count === 0 ? null : new MemoryLanes(wasm, count, {
      send: (to, bytes, segment) => {
        this.sockets.last!.deliver(to, bytes, segment);
        return 0;
      },
      write: (packet, parts) => this.link.packets.take(packet, parts),
    }, random);
    if (this.lanes) {
      const { lanes } = this;
      this.link.packets.at = this.sockets.at = (address, length) => lanes.at(address, length);
      this.link.paused = this.sockets.paused = lanes.paused;
    }
    this.engine = new Engine({
      host,
      link: this.link,
      sockets: this.sockets,
      control: this.control,
      wasm,
      lanes: this.lanes,
      features: new Features([], (message) => this.log.push(message)),
      interfaceIndex: () => 0,
      log: (_, message) => this.log.push(message),
      lookup: () => {},
    });
  }

  /** Whether a turn would have something to do. */
  get due(): boolean {
    return this.engine.ended === null && (this.host.due || (this.lanes?.due ?? false));
  }

  /** Runs turns of the engine until it has nothing to do. */
  settle(): void {
    let turns = 0;
    for (let more = true; more || this.due;) {
      more = this.engine.turn();
      for (let steps = (this.lanes?.random() ?? 0) * 8; steps > 0; steps--) {
        if (this.lanes?.step()) more = true;
      }
      if (++turns > 10_000) throw new Error("the engine is never done");
    }
  }

  /** Sends a request over the control socket. @returns The reply. */
  ask(request: string): string {
    const client = this.control.connect();
    client.send(request);
    this.settle();
    client.hangUp();
    this.settle();
    return client.heard;
  }
}

/**
 * Makes two machines each other's peers, 10.0.0.1 and 10.0.0.2 inside, and brings both interfaces up.
 *
 * @param keys Their private keys.
 */
export function introduce(machines: readonly [Machine, Machine], keys: readonly [Key, Key]): void {
  for (const [i, machine] of machines.entries()) {
    machine.engine.start();
    const reply = machine.ask(
      `set=1\nprivate_key=${formatHexKey(keys[i]!)}\nlisten_port=${PORT}\n` +
        peerLines(publicKey(keys[1 - i]!), {
          endpoint: `${machines[1 - i]!.address}:${PORT}`,
          allowed_ip: `10.0.0.${2 - i}/32`,
        }) + "\n",
    );
    equal(reply, "errno=0\n\n");
    machine.link.set({ up: true });
  }
  settle(...machines);
}

/** Runs turns of all machines until none has anything to do. */
export function settle(...machines: Machine[]): void {
  do for (const machine of machines) machine.settle(); while (machines.some((machine) => machine.due));
}

/** Lets time pass on all machines, from one alarm to the next. */
export function advance(milliseconds: number, ...machines: Machine[]): void {
  const end = machines[0]!.host.now + milliseconds;
  for (;;) {
    const next = Math.min(end, ...machines.map(({ host }) => host.alarmAt));
    for (const { host } of machines) host.now = Math.max(host.now, next);
    settle(...machines);
    if (next >= end) return;
  }
}

/** The lines of a peer in a `set`. */
export function peerLines(publicKey: Key, lines: Record<string, string>): string {
  const text = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`).join("");
  return `public_key=${formatHexKey(publicKey)}\n${text}`;
}

/** Numbers from 0 to 1 that look random (mulberry32). */
export function seeded(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}
