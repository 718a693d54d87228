/**
 * A name server on a host of the lab: every name has the same two addresses.
 *
 * @module
 */

import { createSocket } from "node:dgram";

const [hostname, v4, v6] = Deno.args as [string, string, string];
const TYPES = { A: 1, AAAA: 28 };

const socket = createSocket("udp4");
socket.on("message", (query, { port, address }) => {
  let end = 12;
  while (query[end]! > 0) end += query[end]! + 1;
  const question = query.subarray(12, end + 5);
  const type = query.readUInt16BE(end + 1);
  const data = type === TYPES.A
    ? v4.split(".").map(Number)
    : type === TYPES.AAAA
    ? [...new Uint8Array(16)].map((_, i) => parseInt(v6.replaceAll(":", "").slice(2 * i, 2 * i + 2), 16))
    : undefined;
  const header = [...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, data ? 1 : 0, 0, 0, 0, 0];
  const answer = data ? [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data] : [];
  socket.send(Uint8Array.from([...header, ...question, ...answer]), port, address);
});
socket.bind(53, hostname, () => console.log("ready"));
