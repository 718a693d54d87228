/**
 * Sends an ICMP echo request of every size to an address and checks the content of every answer. `ping` has one size a
 * run, so a sweep by it would take fifty times as long. It runs inside a host, by itself: `sweep.ts ADDRESS MTU [STEP]`.
 *
 * @module
 */

import { endianness } from "node:os";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const MSG_DONTWAIT = 0x40;
const ECHO_BYTES = 8;
/** Requests on their way at a time: well below what any implementation queues before it drops. */
const WINDOW = 16;
/** Milliseconds without any answer after which the rest is lost. */
const SILENCE_TIMEOUT = 3_000;

const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
}).symbols;

const [target = "", mtuText = "1420", stepText = "1"] = Deno.args;
const six = target.includes(":");
const ipHeader = six ? 40 : 20;
const REQUEST = six ? 128 : 8;
const REPLY = six ? 129 : 0;
const IDENTIFIER = Deno.pid & 0xffff;

const fd = libc.socket(six ? AF_INET6 : AF_INET, SOCK_RAW, six ? 58 : 1);
if (fd < 0) throw new Error("Cannot open a raw socket: run as root");
const name = socketAddress(target);
if (libc.connect(fd, name, name.length) < 0) throw new Error(`No route to ${target}`);

const sizes: number[] = [];
for (let size = 0; size <= Number(mtuText) - ipHeader - ECHO_BYTES; size += Number(stepText)) {
  sizes.push(size);
}
const waiting = new Map<number, number>();
const damaged: number[] = [];
const received = new Uint8Array(1 << 16);
let next = 0;
let lastAnswer = performance.now();

while (next < sizes.length || waiting.size > 0) {
  while (next < sizes.length && waiting.size < WINDOW) {
    const request = echo(REQUEST, next, sizes[next]!);
    if (Number(libc.send(fd, request, BigInt(request.length), 0)) < 0) {
      throw new Error(`Cannot send ${sizes[next]} bytes`);
    }
    waiting.set(next, sizes[next]!);
    next++;
  }
  const length = Number(libc.recv(fd, received, BigInt(received.length), MSG_DONTWAIT));
  if (length < 0) {
    if (performance.now() - lastAnswer > SILENCE_TIMEOUT) break;
    await new Promise((resolve) => setTimeout(resolve, 0));
    continue;
  }
  // A raw socket of IPv4 gives the IP header too.
  const answer = received.subarray(six ? 0 : (received[0]! & 15) * 4, length);
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  if (answer.length < ECHO_BYTES || answer[0] !== REPLY || view.getUint16(4) !== IDENTIFIER) continue;
  const sequence = view.getUint16(6);
  const size = waiting.get(sequence);
  if (size === undefined) continue;
  waiting.delete(sequence);
  lastAnswer = performance.now();
  const expected = echo(REPLY, sequence, size);
  const same = answer.length === expected.length &&
    answer.every((byte, i) => i === 2 || i === 3 || byte === expected[i]);
  if (!same) damaged.push(size);
}

const lost = [...waiting.values(), ...sizes.slice(next)];
if (lost.length + damaged.length > 0) {
  console.error(
    `of ${sizes.length} sizes lost: ${lost.slice(0, 20).join(" ")}; damaged: ${
      damaged.slice(0, 20).join(" ")
    }`,
  );
  Deno.exit(1);
}
console.log(sizes.length);

function echo(type: number, sequence: number, size: number): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(ECHO_BYTES + size);
  for (let i = ECHO_BYTES; i < packet.length; i++) packet[i] = (i * 7 + size) & 0xff;
  const view = new DataView(packet.buffer);
  view.setUint8(0, type);
  view.setUint16(4, IDENTIFIER);
  view.setUint16(6, sequence);
  // The kernel fills in the checksum of ICMPv6 alone.
  if (!six) view.setUint16(2, checksum(view));
  return packet;
}

function checksum(view: DataView): number {
  let sum = 0;
  for (let i = 0; i + 1 < view.byteLength; i += 2) sum += view.getUint16(i);
  if (view.byteLength % 2 === 1) sum += view.getUint8(view.byteLength - 1) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function socketAddress(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(six ? 28 : 16);
  new DataView(bytes.buffer).setUint16(0, six ? AF_INET6 : AF_INET, endianness() === "LE");
  bytes.set(six ? ipv6(text) : text.split(".").map(Number), six ? 8 : 4);
  return bytes;
}

function ipv6(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const words = (part = "") =>
    part.split(":").filter((word) => word !== "").map((word) => parseInt(word, 16));
  const start = words(head);
  const end = words(tail);
  const zeros = new Array<number>(8 - start.length - end.length).fill(0);
  return [...start, ...zeros, ...end].flatMap((word) => [word >> 8, word & 0xff]);
}
