/**
 * A peer that reveals its secrets: the protocol with noble's cryptography over a real UDP socket, for captures that are
 * decrypted afterwards. It runs inside a host, as a separate process. Its only argument is {@linkcode KnownPeer} in
 * JSON. It prints each ephemeral private key when it is made.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import type { EndpointWords } from "../../../core/protocol/endpoint.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import { parsePrefix } from "../../../core/config/prefix.ts";
import { address4, type Host, Lab, noble } from "../../lab.ts";

/** The peer's argument. All addresses are IPv4 addresses, all keys are in base64. */
export interface KnownPeer {
  readonly address: string;
  readonly port: number;
  readonly inside: string;
  readonly privateKey: string;
  readonly presharedKey: string;
  readonly other: {
    readonly address: string;
    readonly port: number;
    readonly inside: string;
    readonly publicKey: string;
  };
  /** How many echo requests to send. If it is 0, the peer only answers. */
  readonly pings: number;
}

/** A laboratory whose wire is a socket and whose clock is the machine's. */
class Outdoors extends Lab {
  readonly #socket = createSocket("udp4");
  readonly #start = performance.now() - this.boot;

  /** Sends what a device sends. */
  override transmit(_: Host, to: EndpointWords, bytes: Uint8Array): void {
    this.#socket.send(bytes, to[1]!, Array.from(new Uint8Array(to.buffer, 8, 4)).join("."));
  }

  /** Passes received datagrams and the time to a device. */
  run(host: Host, settings: KnownPeer): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.on("message", (bytes, { address, port }) => {
      this.#tick();
      host.receive(Uint8Array.from(bytes), endpoint(address, port));
      for (const packet of host.received.splice(0)) answer(host, packet);
    });
    setInterval(() => {
      this.#tick();
      if (host.device.nextDeadline() > this.boot) return;
      host.device.handleTimeout(this.now);
      host.flush();
    }, 50);
    this.#socket.bind(settings.port, settings.address, resolve);
    return promise;
  }

  #tick(): void {
    this.boot = performance.now() - this.#start;
    this.wall = BigInt(Date.now()) * 1_000_000n;
  }
}

if (import.meta.main) await main(JSON.parse(Deno.args[0]!) as KnownPeer);

async function main(settings: KnownPeer): Promise<void> {
  const { other } = settings;
  const lab = new Outdoors({
    ...noble,
    crypto: {
      ...noble.crypto,
      // The public key of each ephemeral is made once, right after the ephemeral.
      publicKey: (out, privateKey) => {
        console.log(Buffer.from(privateKey).toString("base64"));
        noble.crypto.publicKey(out, privateKey);
      },
    },
  }, Deno.pid);
  const host = lab.host("known");
  host.address = address4(parts(settings.address), settings.port);
  host.device.setPrivateKey(Buffer.from(settings.privateKey, "base64"), lab.now);
  const peer = host.device.addPeer(Buffer.from(other.publicKey, "base64"))!;
  host.device.setPresharedKey(peer, Buffer.from(settings.presharedKey, "base64"));
  host.device.setEndpoint(peer, endpoint(other.address, other.port));
  host.device.insertAllowedIp(peer, parsePrefix(`${other.inside}/32`)!);
  await lab.run(host, settings);
  console.log("ready");
  for (let sequence = 1; sequence <= settings.pings; sequence++) {
    host.sendPacket(echoRequest(settings, sequence));
  }
}

function endpoint(address: string, port: number): EndpointWords {
  return endpointWords({ family: 4, address: Uint8Array.from(parts(address)), port, scope: 0 });
}

function parts(address: string): number[] {
  return address.split(".").map(Number);
}

/** Answers an echo request over IPv4 as a kernel would. */
function answer(host: Host, packet: Uint8Array): void {
  const headerLength = (packet[0]! & 15) * 4;
  if (packet[0]! >> 4 !== 4 || packet[9] !== 1 || packet[headerLength] !== 8) return;
  // The protocol includes the padding.
  const reply = packet.slice(0, new DataView(packet.buffer, packet.byteOffset).getUint16(2));
  reply.set(packet.subarray(16, 20), 12);
  reply.set(packet.subarray(12, 16), 16);
  reply[headerLength] = 0;
  fill(reply, headerLength);
  host.sendPacket(reply);
}

function echoRequest({ inside, other }: KnownPeer, sequence: number): Uint8Array {
  const packet = new Uint8Array(20 + 8 + 56);
  const view = new DataView(packet.buffer);
  packet.set([0x45, 0, 0, packet.length, 0, 0, 0, 0, 64, 1]);
  packet.set(parts(inside), 12);
  packet.set(parts(other.inside), 16);
  packet[20] = 8;
  view.setUint16(26, sequence);
  fill(packet, 20);
  return packet;
}

/** Computes the checksums of the IPv4 header and of what follows. */
function fill(packet: Uint8Array, headerLength: number): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  for (
    const [at, from, to] of [[10, 0, headerLength], [headerLength + 2, headerLength, packet.length]] as const
  ) {
    view.setUint16(at, 0);
    let sum = 0;
    for (let i = from; i < to; i += 2) sum += i + 1 < to ? view.getUint16(i) : view.getUint8(i) << 8;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(at, ~sum & 0xffff);
  }
}
