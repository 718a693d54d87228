/**
 * Clients that never finish the head of a request: each sends one byte per second. web_flood_test.ts runs it. Its
 * arguments are the server's port, the number of clients, and the number of those that wait until the server has ended
 * a connection. Four times per second it prints how many clients have connected or failed, and how many are connected
 * now.
 *
 * @module
 */

import { connect, type TLSSocket } from "node:tls";

const [port, count, later = 0] = Deno.args.map(Number);
const open = new Set<TLSSocket>();
const tried = new Set<TLSSocket>();
const ended = Promise.withResolvers<void>();
setInterval(() => console.log(`${tried.size} tried, ${open.size} open`), 250);
setInterval(() => open.forEach((socket) => socket.write("x")), 1_000);
for (let n = 0; n < count!; n++) {
  if (n === count! - later) await ended.promise;
  const socket = connect({ host: "127.0.0.1", port: port!, rejectUnauthorized: false });
  socket.once("secureConnect", () => {
    open.add(socket);
    tried.add(socket);
    socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ");
  });
  socket.on("error", () => {});
  socket.once("close", () => {
    open.delete(socket);
    tried.add(socket);
    ended.resolve();
  });
}
