/**
 * Many devices on a wire that can lose, delay, duplicate and record datagrams, on a simulated clock that jumps from one
 * event to the next. Nothing waits in real time: three hours take as long as their handshakes.
 *
 * @module
 */

import type { Prefix } from "../core/config/prefix.ts";
import { parsePrefix } from "../core/config/prefix.ts";
import type { Milliseconds, Now } from "../core/protocol/clock.ts";
import type { Crypto, KeypairStore, Random } from "../core/protocol/crypto.ts";
import { Device } from "../core/protocol/device.ts";
import type { ReceivedHandshakes } from "../core/protocol/received_handshakes.ts";
import { COUNTER_SPENT } from "../core/protocol/sessions.ts";
import { type EndpointWords, endpointWords } from "../core/protocol/endpoint.ts";
import { messageType } from "../core/protocol/messages.ts";
import { multiplying } from "../core/protocol/multiplication.ts";
import type { Peer } from "../core/protocol/peer.ts";
import { nobleCrypto, NobleKeypairs } from "./noble_crypto.ts";

/** Makes a device handle a handshake message, all steps at once. */
export function handleHandshake(device: Device, ...message: Parameters<ReceivedHandshakes["steps"]>): void {
  const [bytes, , , now] = message;
  if (!device.handshakes.arrived(bytes, now)) return;
  for (const _ of multiplying(device.crypto, device.handshakes.steps(...message)));
}

/** The simplest data path: one packet, one datagram. */
export interface Transport extends KeypairStore {
  /** @returns Null if the counter is spent. */
  seal(slot: number, packet: Uint8Array): Uint8Array | null;
  /** @returns Null if the datagram is forged or was received before. */
  open(slot: number, datagram: Uint8Array): Uint8Array | null;
}

/** A cryptographic backend. */
export interface Backend {
  crypto: Crypto;
  transport: () => Transport;
}

/** The backend of the tests. It uses no code of ours. */
export const noble: Backend = { crypto: nobleCrypto, transport: () => new NobleKeypairs() };

/** The kind of a datagram, as an eavesdropper sees it. */
export type Kind = "initiation" | "response" | "cookie" | "keepalive" | "data" | "junk";

/** A datagram on the wire. */
export interface Datagram {
  /** When it was sent, in milliseconds. */
  readonly sentAt: number;
  readonly sender: Host;
  readonly from: EndpointWords;
  readonly to: EndpointWords;
  readonly bytes: Uint8Array;
  readonly kind: Kind;
}

/** A laboratory. */
export class Lab {
  /** Milliseconds since the machine was started. */
  boot = 1_000_000;
  /** Nanoseconds since 1970. */
  wall = 1_700_000_000_000_000_000n;
  readonly hosts: Host[] = [];
  /** All datagrams that were sent, including lost ones. */
  readonly record: Datagram[] = [];
  /** Whether the wire loses a datagram. */
  loses: (datagram: Datagram) => boolean = () => false;
  /** Milliseconds that a datagram takes. */
  delay: (datagram: Datagram) => number = () => 0;
  /** How many times a datagram arrives that is not lost. */
  copies: (datagram: Datagram) => number = () => 1;
  /** By time of arrival. */
  readonly #inFlight: { arrivesAt: number; datagram: Datagram }[] = [];
  readonly #random: Random;

  constructor(readonly backend: Backend = noble, seed = 1) {
    this.#random = seededRandom(seed);
  }

  get now(): Now {
    return { boot: this.boot as Milliseconds, wall: this.wall };
  }

  /** Sets up a host with a private key and an interface that is up. */
  host(name: string): Host {
    const host = new Host(this, name, this.hosts.length + 1, this.#random);
    this.hosts.push(host);
    const privateKey = new Uint8Array(32);
    this.#random(privateKey);
    host.device.setPrivateKey(privateKey, this.now);
    host.device.up(this.now);
    return host;
  }

  /** Makes two hosts each other's peers, for the inner addresses 10.0.0.N and fd00::N. */
  introduce(a: Host, b: Host, presharedKey: Uint8Array | null = null): void {
    for (const [host, other] of [[a, b], [b, a]] as const) {
      const peer = host.device.addPeer(other.device.publicKey!)!;
      host.device.setPresharedKey(peer, presharedKey);
      host.device.setEndpoint(peer, other.address);
      for (const prefix of [`10.0.0.${other.number}/32`, `fd00::${other.number}/128`]) {
        host.device.insertAllowedIp(peer, parsePrefix(prefix) as Prefix);
      }
    }
  }

  /** Puts a datagram on the wire. */
  transmit(sender: Host, to: EndpointWords, bytes: Uint8Array): void {
    const from = sender.address.slice();
    const datagram = {
      sentAt: this.boot,
      sender,
      from,
      to: to.slice(),
      bytes: bytes.slice(),
      kind: kindOf(bytes),
    };
    this.record.push(datagram);
    sender.unread.push(datagram.kind);
    if (this.loses(datagram)) return;
    for (let copy = this.copies(datagram); copy > 0; copy--) {
      const arrivesAt = this.boot + this.delay(datagram);
      const after = this.#inFlight.findIndex((other) => other.arrivesAt > arrivesAt);
      this.#inFlight.splice(after < 0 ? this.#inFlight.length : after, 0, { arrivesAt, datagram });
    }
  }

  /** Handles everything that is due now. */
  settle(): void {
    this.advance(0);
  }

  /** Lets time pass, event by event. */
  advance(milliseconds: number): void {
    const end = this.boot + milliseconds;
    for (const host of this.hosts) host.flush();
    for (let steps = 0;; steps++) {
      if (steps > 1_000_000) throw new Error("the lab does not come to rest");
      const arrival = this.#inFlight[0]?.arrivesAt ?? Infinity;
      const deadline = Math.min(...this.hosts.map((host) => host.device.nextDeadline()));
      const next = Math.max(this.boot, Math.min(arrival, deadline));
      if (next > end) break;
      this.#jump(next);
      if (arrival <= next) {
        const { datagram } = this.#inFlight.shift()!;
        this.hosts.find((host) => reaches(host, datagram))?.receive(datagram.bytes, datagram.from);
      } else {
        for (const host of this.hosts) {
          if (host.device.nextDeadline() > next) continue;
          host.device.handleTimeout(this.now);
          host.flush();
        }
      }
    }
    this.#jump(end);
  }

  /** Lets time pass while the machine sleeps: nothing happens, then everything is overdue. */
  suspend(milliseconds: number): void {
    this.#jump(this.boot + milliseconds);
  }

  #jump(to: number): void {
    this.wall += BigInt(Math.round((to - this.boot) * 1_000_000));
    this.boot = to;
  }
}

/** A machine with one device and one address. */
export class Host {
  readonly device: Device;
  readonly transport: Transport;
  /** Where it can be reached: 192.0.2.N, port 51820, until it {@linkcode move}s. */
  address: EndpointWords;
  /** Whether its queue of handshakes is long. */
  underLoad = false;
  /** 0 to 1: where in its range the jitter falls; null for anywhere. */
  jitter: number | null = null;
  /** Inner packets that came out of the tunnel. */
  readonly received: Uint8Array[] = [];
  /** The times of requested lookups of an endpoint's name. */
  readonly lookups: number[] = [];
  /** The kinds of sent datagrams that {@linkcode sent} has not returned yet. */
  readonly unread: Kind[] = [];

  constructor(readonly lab: Lab, readonly name: string, readonly number: number, random: Random) {
    this.address = address4([192, 0, 2, number], 51820);
    this.transport = lab.backend.transport();
    this.device = new Device({
      crypto: lab.backend.crypto,
      keypairs: this.transport,
      random: (out) => {
        random(out);
        // Two bytes are jitter; keys, indices and nonces are longer.
        if (this.jitter !== null && out.length === 2) {
          const dice = Math.min(0xffff, Math.floor(this.jitter * 0x10000));
          out.set([dice & 0xff, dice >> 8]);
        }
      },
    });
  }

  /** The peer that another host is to this one. */
  peer(other: Host): Peer {
    return this.device.peer(other.device.publicKey!)!;
  }

  /** The kinds of datagrams sent since the last call. */
  sent(): Kind[] {
    return this.unread.splice(0);
  }

  /** Sends an inner packet to another host, through the peer to which it is routed. */
  send(other: Host, size = 40): void {
    this.sendPacket(ipv4([10, 0, 0, this.number], [10, 0, 0, other.number], size));
  }

  /** Sends an inner packet. @returns False if no peer has its destination. */
  sendPacket(packet: Uint8Array): boolean {
    const { device } = this;
    const peer = device.lookup(packet, 0, packet.length);
    if (peer === null || peer.endpoint === null && peer.endpointName === null) return false;
    if (!this.#seal(peer, packet)) device.sessions.stage(peer, packet);
    this.flush();
    return true;
  }

  /** Takes another address, as a laptop does. */
  move(address: EndpointWords): void {
    this.address = address;
  }

  /** Handles a datagram from the network. */
  receive(bytes: Uint8Array, from: EndpointWords): void {
    const { device, lab: { now } } = this;
    const origin = from.slice();
    origin.set(this.address.subarray(2, 6), 8);
    if (bytes.length < 32 || messageType(bytes) !== 4) {
      handleHandshake(device, bytes, origin, this.underLoad, now);
    } else {
      const keypair = device.sessions.keypair(
        new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true),
        now,
      );
      const packet = keypair && this.transport.open(keypair.slot, bytes);
      if (keypair && packet) {
        device.sessions.dataReceived(keypair, 1, packet.length === 0 ? 1 : 0, bytes.length, origin, now);
        if (packet.length > 0 && device.sourceAllowed(keypair.peer, packet, 0, packet.length)) {
          this.received.push(packet);
        }
      }
    }
    this.flush();
  }

  /** Does what the device requests. */
  flush(): void {
    const { device } = this;
    for (let output = device.poll(); output !== null; output = device.poll()) {
      switch (output.kind) {
        case "handshake":
          this.lab.transmit(this, output.endpoint, output.bytes);
          break;
        case "keepalive":
          this.#seal(output.peer, new Uint8Array(0));
          break;
        case "staged":
          for (const { bytes } of output.peer.takeStaged()) {
            if (!this.#seal(output.peer, bytes)) device.sessions.stage(output.peer, bytes);
          }
          break;
        case "lookup":
          this.lookups.push(this.lab.boot);
          break;
      }
    }
  }

  #seal(peer: Peer, packet: Uint8Array): boolean {
    const { device, lab: { now } } = this;
    const keypair = device.sessions.sendingKeypair(peer, now);
    if (keypair === null) return false;
    const datagram = this.transport.seal(keypair.slot, packet);
    if (datagram === null) {
      device.sessions.dataSent(peer, keypair, 0, 0, COUNTER_SPENT, now);
      return false;
    }
    this.lab.transmit(this, peer.endpoint!, datagram);
    if (packet.length === 0) device.sessions.keepaliveSent(peer, keypair, datagram.length, 0, now);
    else device.sessions.dataSent(peer, keypair, 1, datagram.length, 0, now);
    return true;
  }
}

/** Two hosts that are each other's peers. */
export function pair(
  options: { backend?: Backend; presharedKey?: Uint8Array; seed?: number } = {},
): { lab: Lab; alice: Host; bob: Host } {
  const lab = new Lab(options.backend, options.seed);
  const alice = lab.host("alice"), bob = lab.host("bob");
  lab.introduce(alice, bob, options.presharedKey ?? null);
  return { lab, alice, bob };
}

/** Two hosts with a new session that alice began, and no unread datagrams. */
export function session(options: Parameters<typeof pair>[0] = {}): ReturnType<typeof pair> {
  const all = pair(options);
  all.alice.send(all.bob);
  all.lab.settle();
  all.alice.sent();
  all.bob.sent();
  all.lab.record.length = 0;
  return all;
}

/** An IPv4 endpoint. */
export function address4(address: number[], port: number): EndpointWords {
  return endpointWords({ family: 4, address: Uint8Array.from(address), port, scope: 0 });
}

/** An IPv6 endpoint. */
export function address6(address: Uint8Array, port: number): EndpointWords {
  return endpointWords({ family: 6, address, port, scope: 0 });
}

/** An IPv4 packet with UDP inside, as far as the protocol reads it. */
export function ipv4(source: number[], destination: number[], size = 40): Uint8Array {
  const packet = new Uint8Array(size);
  packet[0] = 0x45;
  new DataView(packet.buffer).setUint16(2, size);
  packet[8] = 64;
  packet[9] = 17;
  packet.set(source, 12);
  packet.set(destination, 16);
  return packet;
}

/** A reproducible stream of bytes (xorshift128). Only for tests. */
export function seededRandom(seed: number): Random {
  const state = new Uint32Array([seed, 0x9e3779b9, 0x243f6a88, 0xb7e15162]);
  const next = () => {
    let t = state[3]!;
    const s = state[0]!;
    state.copyWithin(1, 0, 3);
    t ^= t << 11;
    t ^= t >>> 8;
    state[0] = t ^ s ^ (s >>> 19);
    return state[0]!;
  };
  for (let i = 0; i < 16; i++) next();
  return (out) => {
    for (let i = 0; i < out.length; i++) out[i] = next() >>> 24;
  };
}

function kindOf(bytes: Uint8Array): Kind {
  if (bytes.length < 32) return "junk";
  switch (messageType(bytes)) {
    case 1:
      return "initiation";
    case 2:
      return "response";
    case 3:
      return "cookie";
    case 4:
      return bytes.length === 32 ? "keepalive" : "data";
    default:
      return "junk";
  }
}

function reaches(host: Host, { to }: Datagram): boolean {
  for (let word = 0; word < 6; word++) if (host.address[word] !== to[word]) return false;
  return true;
}
