/**
 * Fills a socket's send buffer with datagrams to hosts that do not exist. It runs inside a host, as a separate process.
 * Its arguments are the first three bytes of the network, such as `10.1.0`, and an existing host. It prints in JSON
 * whether the socket was crowded before, after how many datagrams it was, and the result of sending to the existing
 * host then.
 *
 * @module
 */

import { BufferArena } from "../../../ffi/linux/arena.ts";
import { UdpSocket } from "../../../ffi/linux/udp_socket.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";

const [network, present] = Deno.args;
const LENGTH = 1_000;
/** More than the buffer holds. */
const MAX_DATAGRAMS = 20_000;

const arena = new BufferArena(1 << 20);
const socket = UdpSocket.open(arena, {
  family: 4,
  port: 0,
  mark: 0,
  features: { segment: false, gro: false },
});
const to = (address: string) => endpointWords(parseSocketAddress(`${address}:9`)!);
const at = arena.allocate(LENGTH);
const before = socket.crowded;
let datagrams = 0;
for (; datagrams < MAX_DATAGRAMS && !socket.crowded; datagrams++) {
  socket.send(to(`${network}.${10 + datagrams % 200}`), at, LENGTH, 0, 0);
}
console.log(JSON.stringify({ before, datagrams, errno: socket.send(to(present!), at, LENGTH, 0, 0) }));
socket.close();
