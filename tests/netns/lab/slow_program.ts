/**
 * Clients that never finish the head of a request: each sends one byte per second. web_flood_test.ts runs it. Its
 * arguments are the server's port and the number of clients. It prints the number of open connections four times per
 * second.
 *
 * @module
 */

import { connect, type TLSSocket } from "node:tls";

const [port, count] = Deno.args.map(Number);
const open = new Set<TLSSocket>();
for (let n = 0; n < count!; n++) {
  const socket = connect({ host: "127.0.0.1", port: port!, rejectUnauthorized: false });
  socket.once("secureConnect", () => {
    open.add(socket);
    socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ");
  });
  socket.on("error", () => {});
  socket.once("close", () => open.delete(socket));
}
setInterval(() => console.log(`${open.size} open`), 250);
setInterval(() => open.forEach((socket) => socket.write("x")), 1_000);
