/**
 * Asks a name server by UDP through SOCKS5, with bytes written by hand after RFC 1928 and RFC 1035. Its arguments are the
 * proxy's port and the name; it prints the address.
 *
 * @module
 */

import { createSocket } from "node:dgram";

const [port = "", name = ""] = Deno.args;
const conn = await Deno.connect({ port: Number(port) });
const buffer = new Uint8Array(512);
await conn.write(Uint8Array.of(5, 1, 0));
await conn.read(buffer);
await conn.write(Uint8Array.of(5, 3, 0, 1, 0, 0, 0, 0, 0, 0));
const length = await conn.read(buffer) ?? 0;
if (length !== 10 || buffer[1] !== 0) throw new Error(`refused: ${buffer.subarray(0, length)}`);
const relay = buffer[8]! << 8 | buffer[9]!;

const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
const question = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1];
const socket = createSocket("udp4");
socket.on("message", (answer: Uint8Array) => {
  // The header of SOCKS5 has ten bytes, and the address ends the only record.
  const id = answer[10]! << 8 | answer[11]!;
  console.log(id === 0x1234 ? [...answer.slice(-4)].join(".") : "another answer");
  Deno.exit(0);
});
socket.send(Uint8Array.of(0, 0, 0, 1, 10, 8, 0, 1, 0, 53, ...question), relay, "127.0.0.1");
setTimeout(() => Deno.exit(1), 5_000);
