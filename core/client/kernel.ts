/**
 * Interfaces of the kernel's own module, over netlink.
 *
 * @module
 */

import { SystemError } from "../../ffi/linux/system_error.ts";
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_CMD_GETFAMILY,
  GENL_ID_CTRL,
  GENLMSGHDR,
  IFINFOMSG,
  IFLA_IFNAME,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  NETLINK_GENERIC,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSGHDR,
  RTM_GETLINK,
  WG_GENL_NAME,
} from "../../ffi/linux/constants.ts";
import { NetlinkSocket } from "../../ffi/linux/netlink_socket.ts";
import { Errno } from "../uapi/errno.ts";
import { type DeviceChange, type DeviceState, UapiError } from "../uapi/format.ts";
import { attributes, genericHeader, MessageWriter, Reply, viewOf } from "./netlink.ts";
import { formatGetDevice, formatSetDevice, readDevice } from "./netlink_device.ts";

/** Bytes that requests without peers need at most. */
const SMALL = 256;
/** How often a dump may be disturbed by changes before it is given up. */
const DUMP_ATTEMPTS = 100;
/** The version of the generic netlink controller. */
const CONTROLLER_VERSION = 1;

/**
 * Reads everything about an interface of the kernel.
 *
 * @throws {UapiError} As `wg` reports it: `EPROTONOSUPPORT` without the module, `ENODEV` without the interface,
 * `EOPNOTSUPP` if it is of another kind, `EPERM` without the right.
 */
export function getKernelDevice(name: string): DeviceState {
  return withNetlink(NETLINK_GENERIC, (socket) => {
    const request = formatGetDevice(wireguardFamily(socket), name);
    return dump(socket, request, () => {
      const state: DeviceState = { listenPort: 0, fwmark: 0, peers: [] };
      return [state, (payload) => readDevice(state, payload)];
    });
  });
}

/**
 * Changes an interface of the kernel. A change of more than about 200 peers goes in several messages, and what was
 * accepted stays if a later one is refused.
 *
 * @throws {UapiError} As for `getKernelDevice`, and what the kernel says of the change.
 */
export function setKernelDevice(name: string, change: DeviceChange): void {
  withNetlink(NETLINK_GENERIC, (socket) => {
    for (const message of formatSetDevice(wireguardFamily(socket), name, change)) {
      try {
        ask(socket, message, () => {});
      } catch (error) {
        throw error instanceof UapiError ? refusal(error, change) : error;
      } finally {
        // Keys are in it.
        message.fill(0);
      }
    }
  });
}

/** Says of a refusal what the kernel does not say. */
function refusal(error: UapiError, { peers }: DeviceChange): UapiError {
  const takes = peers.some(({ allowedIps }) => allowedIps.some(({ remove }) => remove));
  if (error.errno !== Errno.EINVAL || !takes) return error;
  const hint = "kernels before 6.16 cannot take single allowed IPs away; name those that are to stay instead";
  return new UapiError(Errno.EINVAL, error.message, hint);
}

/**
 * Names the interfaces of the kernel's module in this network namespace, in the kernel's order.
 *
 * @throws {UapiError} If the kernel does not say.
 */
export function listKernelInterfaces(): string[] {
  const header = new Uint8Array(IFINFOMSG.size);
  const message = new MessageWriter(SMALL, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, header).finish();
  return withNetlink(NETLINK_ROUTE, (socket) =>
    dump(socket, message, () => {
      const names: string[] = [];
      return [names, (payload) => {
        const name = wireguardLink(payload);
        if (name !== undefined) names.push(name);
      }];
    }));
}

/** The name of a link if it is one of WireGuard's. */
function wireguardLink(payload: Uint8Array): string | undefined {
  let name: string | undefined;
  let kind: string | undefined;
  for (const attribute of attributes(payload.subarray(IFINFOMSG.size))) {
    if (attribute.type === IFLA_IFNAME) name = attribute.string();
    if (attribute.type !== IFLA_LINKINFO) continue;
    for (const inner of attributes(attribute.value)) {
      if (inner.type === IFLA_INFO_KIND) kind = inner.string();
    }
  }
  return kind === WG_GENL_NAME ? name : undefined;
}

/** Finds the number of the family "wireguard"; the kernel loads the module for that if it can. */
function wireguardFamily(socket: NetlinkSocket): number {
  const header = genericHeader(CTRL_CMD_GETFAMILY, CONTROLLER_VERSION);
  const request = new MessageWriter(SMALL, GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, header);
  request.string(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  let family: number | undefined;
  try {
    ask(socket, request.finish(), (payload) => {
      for (const attribute of attributes(payload.subarray(GENLMSGHDR.size))) {
        if (attribute.type === CTRL_ATTR_FAMILY_ID) family = attribute.u16();
      }
    });
  } catch (error) {
    if (!(error instanceof UapiError) || error.errno !== Errno.ENOENT) throw error;
    throw new UapiError(Errno.EPROTONOSUPPORT, "the kernel has no WireGuard");
  }
  if (family === undefined) {
    throw new UapiError(Errno.EPROTO, "the kernel did not say which number WireGuard has");
  }
  return family;
}

/** Opens a netlink socket, uses it, and closes it. */
function withNetlink<T>(protocol: number, what: (socket: NetlinkSocket) => T): T {
  try {
    using socket = new NetlinkSocket(protocol);
    return what(socket);
  } catch (error) {
    throw error instanceof SystemError ? new UapiError(error.errno, error.message) : error;
  }
}

/** Asks for a dump, again if what it tells changed meanwhile. @param begin Makes a result and what fills it. */
function dump<T>(
  socket: NetlinkSocket,
  request: Uint8Array<ArrayBuffer>,
  begin: () => [result: T, add: (payload: Uint8Array) => void],
): T {
  for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
    const [result, add] = begin();
    if (!ask(socket, request, add).interrupted) return result;
  }
  throw new UapiError(Errno.EINTR, "the interface changes faster than it can be read");
}

let sequence = 0;

/** Asks one question and reads all of the answer. */
function ask(
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
