/**
 * A peer that sends arbitrary segments to the committed module. `wasm/tests/tcp_hostile.rs` does the same to the source,
 * but only where Rust is installed.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { Wasm } from "../../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import type { ConnectionId, Microseconds, TcpStack, TcpState } from "../../../wasm/tcp.ts";

const ROUNDS = 2_000;
const SEGMENTS_PER_ROUND = 500;
/** The budget of all buffers of the host that is attacked. */
const MEMORY = 1 << 20;
const CAPACITY = 65_545;
const FIN = 1, SYN = 2, ACK = 16;
const PORT = 80;
const PROTOCOL_TCP = 6;

/** The addresses of the host that is attacked and of its peer. */
const ADDRESSES = {
  4: { ours: Uint8Array.of(10, 0, 0, 1), theirs: Uint8Array.of(10, 0, 0, 2) },
  6: { ours: v6Address(1), theirs: v6Address(2) },
} as const;

function v6Address(last: number): Uint8Array {
  const address = new Uint8Array(16);
  [address[0], address[15]] = [0xfd, last];
  return address;
}

/** Pseudorandom numbers (xorshift), so that a failure can be repeated. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1);
  }

  word(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  below(bound: number): number {
    return this.word() % bound;
  }

  oneIn(bound: number): boolean {
    return this.below(bound) === 0;
  }

  /** A number that is near another one, or far from it. */
  near(number: number): number {
    const distance = [0, this.below(3), this.below(3_000), this.below(100_000), 65_535][this.below(6)];
    if (distance === undefined) return this.word();
    return (this.oneIn(2) ? number + distance : number - distance) >>> 0;
  }
}

/** A host and a peer that opens correct connections. Both stacks are in one instance of the module. */
class Victim {
  readonly wasm = new Wasm();
  readonly stack = this.#host("ours", 1, MEMORY);
  readonly peer = this.#host("theirs", 2, 1 << 20);
  now: Microseconds = 1_000_000;
  id!: ConnectionId;
  family: 4 | 6 = 4;
  #port = 1_024;
  /** The sequence number and the acknowledgement that the peer should send next. */
  #seq = 0;
  #ack = 0;
  readonly #at = this.wasm.memory.allocate(CAPACITY);

  constructor() {
    this.peer.listen(PORT);
  }

  #host(side: "ours" | "theirs", secret: number, memory: number): TcpStack {
    return this.wasm.tcp({
      secret: new Uint8Array(32).fill(secret),
      addresses: [ADDRESSES[4][side], ADDRESSES[6][side]],
      mtu: 1_420,
      memory,
      connections: 100_000,
    });
  }

  get state(): TcpState["state"] | undefined {
    return this.stack.state(this.id)?.state;
  }

  /** Opens a connection. If `correct`, the peer answers as it should, and then forgets the connection. */
  open(correct: boolean): void {
    this.#port = this.#port === 65_535 ? 1_024 : this.#port + 1;
    const { ours, theirs } = ADDRESSES[this.family];
    const local = { address: ours, port: this.#port };
    const id = this.stack.connect(local, { address: theirs, port: PORT }, this.now);
    ok(typeof id === "number", `a connection cannot be opened: ${id}`);
    this.id = id;
    if (!correct) return void this.send();
    while (this.#carry(this.stack, this.peer) || this.#carry(this.peer, this.stack)) this.now += 1_000;
    equal(this.state, "established");
    this.peer.abort(this.peer.accept(PORT)!);
    while (this.peer.transmit(this.#at, CAPACITY, this.now) > 0);
    this.stack.reserve(this.id)[0] = 1;
    this.stack.commit(this.id, 1);
    this.send();
  }

  #carry(from: TcpStack, to: TcpStack): boolean {
    const length = from.transmit(this.#at, CAPACITY, this.now);
    if (length > 0) ok(to.receiveWhole(this.#at, length, true, this.now));
    return length > 0;
  }

  /** Takes what our host sends, which tells the peer its next numbers. @returns The segments without payload. */
  send(): number {
    let empty = 0;
    for (;;) {
      const length = this.stack.transmit(this.#at, CAPACITY, this.now);
      if (length === 0) return empty;
      const { view, bytes } = this.wasm.memory;
      const tcp = this.#at + VIRTIO_HEADER + (bytes[this.#at + VIRTIO_HEADER]! >> 4 === 4 ? 20 : 40);
      const payload = this.#at + length - (tcp + (bytes[tcp + 12]! >> 4) * 4);
      if (payload === 0) empty++;
      if (view.getUint16(tcp) !== this.#port) continue;
      const flags = bytes[tcp + 13]!;
      const end = (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
      this.#seq = view.getUint32(tcp + 8);
      this.#ack = view.getUint32(tcp + 4) + payload + end >>> 0;
    }
  }

  /** Sends an arbitrary segment to our host, and sometimes an ICMP error. */
  attack(random: Random): void {
    const { bytes, view } = this.wasm.memory;
    const { ours, theirs } = ADDRESSES[this.family];
    const ip = this.#at + VIRTIO_HEADER;
    const tcp = ip + (this.family === 4 ? 20 : 40);
    const end = this.#options(random, tcp + 20);
    // Whatever the buffer holds is the payload.
    const length = end + random.below(3_000) - this.#at;
    bytes.fill(0, this.#at, tcp + 20);
    if (this.family === 4) {
      bytes[ip] = 0x45;
      view.setUint16(ip + 2, length - VIRTIO_HEADER);
      bytes[ip + 9] = PROTOCOL_TCP;
      bytes.set(theirs, ip + 12);
      bytes.set(ours, ip + 16);
    } else {
      bytes[ip] = 0x60;
      view.setUint16(ip + 4, length - VIRTIO_HEADER - 40);
      bytes[ip + 6] = PROTOCOL_TCP;
      bytes.set(theirs, ip + 8);
      bytes.set(ours, ip + 24);
    }
    view.setUint16(tcp, PORT);
    view.setUint16(tcp + 2, this.#port);
    view.setUint32(tcp + 4, random.near(this.#seq));
    view.setUint32(tcp + 8, random.near(this.#ack));
    bytes[tcp + 12] = (end - tcp) / 4 << 4;
    bytes[tcp + 13] = this.#flags(random);
    view.setUint16(tcp + 14, random.below(65_536));
    ok(this.stack.receiveWhole(this.#at, length, true, this.now), "the segment is well-formed");
    if (random.oneIn(8)) {
      const mtu = random.oneIn(3) ? 1 + random.below(1_600) : 0;
      const local = { address: ours, port: this.#port };
      const remote = { address: theirs, port: PORT };
      this.stack.icmp(local, remote, random.near(this.#ack), mtu, this.now);
    }
  }

  #flags(random: Random): number {
    const kind = random.below(6);
    const { state } = this;
    if (kind < 2) return random.below(256);
    const opening = state === "syn-sent" || state === "syn-received";
    if (kind < 4 && opening) return random.oneIn(2) ? SYN : SYN | ACK;
    return ACK;
  }

  /** Writes options with arbitrary values. @returns Where they end. */
  #options(random: Random, from: number): number {
    const { bytes, view } = this.wasm.memory;
    let at = from;
    const put = (...option: number[]) => {
      bytes.set(option, at);
      at += option.length;
    };
    const putWord = (word: number) => {
      view.setUint32(at, word);
      at += 4;
    };
    const hasMaxSegment = random.oneIn(8);
    if (hasMaxSegment) put(2, 4, random.below(256), random.below(256));
    if (random.oneIn(8)) put(1, 3, 3, random.below(20));
    if (random.oneIn(8)) put(1, 1, 4, 2);
    if (random.oneIn(2)) {
      put(1, 1, 8, 10);
      putWord(random.word());
      putWord(random.word());
    }
    // There is no space for all options together.
    const blocks = hasMaxSegment ? 0 : random.below(3);
    if (blocks > 0) put(1, 1, 5, 2 + 8 * blocks);
    for (let edge = 0; edge < 2 * blocks; edge++) putWord(random.near(this.#ack));
    return at;
  }

  /** What the program on our host does at random. */
  use(random: Random): void {
    const { stack, id, now } = this;
    switch (random.below(12)) {
      case 0: {
        const room = stack.reserve(id);
        stack.commit(id, Math.min(room.length, 2_000));
        break;
      }
      case 1:
        stack.consume(id, stack.peek(id).length, now);
        break;
      case 2:
        if (random.oneIn(10)) stack.finish(id);
        break;
      case 3:
        this.now += random.below(3_000_000);
        break;
    }
  }
}

Deno.test("a million segments that a hostile peer makes up do no harm", () => {
  const victim = new Victim();
  const { stack, wasm } = victim;
  const states = new Map<string, number>();
  let memory = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const random = new Random(2 * round + 1);
    victim.family = round % 4 >= 2 ? 6 : 4;
    victim.open(round % 2 === 0);
    for (let step = 0; step < SEGMENTS_PER_ROUND; step++) {
      let { state } = victim;
      if (state === undefined || state === "closed") {
        stack.release(victim.id, victim.now);
        victim.open(false);
        state = victim.state!;
      }
      states.set(state, (states.get(state) ?? 0) + 1);
      victim.attack(random);
      victim.use(random);
      stack.expire(victim.now);
      // A peer cannot make our host send much: a response, what a timer requires, and the end.
      const answers = victim.send();
      ok(answers <= 4, `${answers} segments without payload in round ${round}`);
      while (stack.event());
      const { bytes } = stack.usage;
      ok(bytes <= MEMORY, `${bytes} bytes in buffers in round ${round}`);
    }
    stack.release(victim.id, victim.now);
    for (let second = 0; second < 400; second++) {
      victim.now += 1_000_000;
      stack.expire(victim.now);
      victim.send();
    }
    deepEqual(stack.usage, { connections: 0, bytes: 0 }, `round ${round}`);
    if (round === ROUNDS / 2) memory = wasm.memory.bytes.length;
  }
  equal(wasm.memory.bytes.length, memory, "the module's memory does not grow further");
  // All states but the last, which has no segments.
  equal(states.size, 9, [...states.keys()].join());
  for (const [state, segments] of states) ok(segments > ROUNDS / 10, `${segments} segments in ${state}`);
});
