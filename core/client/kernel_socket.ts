/**
 * Sends netlink requests to the kernel and reads its answers.
 *
 * @module
 */

import { NLMSGHDR } from "../../ffi/linux/constants.ts";
import { NetlinkSocket } from "../../ffi/linux/netlink_socket.ts";
import { SystemError } from "../../ffi/linux/system_error.ts";
import { Errno } from "../uapi/errno.ts";
import { UapiError } from "../uapi/lines.ts";
import { Reply, viewOf } from "./netlink.ts";

/** How often a dump is repeated because the interface changed during it. */
const DUMP_ATTEMPTS = 100;

/** Opens a netlink socket, uses it, and closes it. */
export function withNetlink<T>(protocol: number, what: (socket: NetlinkSocket) => T): T {
  try {
    using socket = new NetlinkSocket(protocol);
    return what(socket);
  } catch (error) {
    throw error instanceof SystemError ? new UapiError(error.errno, error.message) : error;
  }
}

/**
 * Requests a dump, and repeats it if the interface changed meanwhile.
 *
 * @param begin Makes a result and the function that fills it.
 */
export function dump<T>(
  socket: NetlinkSocket,
  request: Uint8Array<ArrayBuffer>,
  begin: () => [result: T, add: (payload: Uint8Array) => void],
): T {
  for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
    const [result, add] = begin();
    if (!ask(socket, request, add).interrupted) return result;
  }
  throw new UapiError(Errno.EINTR, "the interface keeps changing while it is read");
}

let sequence = 0;

/** Sends one request and reads the whole answer. */
export function ask(
  socket: NetlinkSocket,
  request: Uint8Array<ArrayBuffer>,
  each: (payload: Uint8Array) => void,
): Reply {
  const reply = new Reply(++sequence);
  viewOf(request).setUint32(NLMSGHDR.sequence, reply.sequence, true);
  socket.send(request);
  while (!reply.ended) {
    for (const payload of reply.read(socket.receive())) each(payload);
  }
  return reply;
}
