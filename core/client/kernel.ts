/**
 * Interfaces of the kernel's WireGuard module, over netlink.
 *
 * @module
 */

import { errorText } from "../../ffi/linux/libc.ts";
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
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  RTM_GETLINK,
  RTM_NEWLINK,
  WG_GENL_NAME,
} from "../../ffi/linux/constants.ts";
import type { NetlinkSocket } from "../../ffi/linux/netlink_socket.ts";
import { Errno } from "../uapi/errno.ts";
import type { DeviceState } from "../uapi/get.ts";
import { UapiError } from "../uapi/lines.ts";
import type { DeviceChange } from "../uapi/set.ts";
import { ask, dump, withNetlink } from "./kernel_socket.ts";
import { attributes, genericHeader, MessageWriter } from "./netlink.ts";
import { formatGetDevice, formatSetDevice, nameBytes, readDevice } from "./netlink_device.ts";

/** The maximum size of a request without peers in bytes. */
const REQUEST_WITHOUT_PEERS = 256;
/** The version of the generic netlink controller. */
const CONTROLLER_VERSION = 1;

/**
 * Makes a kernel interface, as `ip link add NAME type wireguard` does. The kernel loads the module if necessary.
 *
 * @throws {UapiError} `EOPNOTSUPP` without the module, `EEXIST` if there is an interface of that name, `EPERM` without
 * the right, `EINVAL` if no interface can have that name.
 */
export function addKernelInterface(name: string): void {
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  const message = new MessageWriter(
    REQUEST_WITHOUT_PEERS,
    RTM_NEWLINK,
    flags,
    new Uint8Array(IFINFOMSG.size),
  );
  message.bytes(IFLA_IFNAME, nameBytes(name));
  const info = message.begin(IFLA_LINKINFO);
  message.string(IFLA_INFO_KIND, WG_GENL_NAME);
  message.end(info);
  try {
    withNetlink(NETLINK_ROUTE, (socket) => ask(socket, message.finish(), () => {}));
  } catch (error) {
    if (!(error instanceof UapiError)) throw error;
    const { errno } = error;
    if (errno === Errno.EOPNOTSUPP) throw new UapiError(errno, "the kernel has no WireGuard");
    throw new UapiError(errno, `the kernel refuses to make a WireGuard interface: ${errorText(errno)}`);
  }
}

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
 * Changes an interface of the kernel. A change of more than about 200 peers takes several messages. If one is
 * refused, the earlier ones stay in effect.
 *
 * @throws {UapiError} As for `getKernelDevice`, or if the kernel refuses the change; `EINVAL`, before anything is
 * changed, if it has host names of endpoints, which the kernel cannot look up.
 */
export function setKernelDevice(name: string, change: DeviceChange): void {
  if (change.peers.some(({ endpointName }) => endpointName !== undefined)) {
    throw new UapiError(Errno.EINVAL, "the kernel's WireGuard does not accept host names of endpoints");
  }
  withNetlink(NETLINK_GENERIC, (socket) => {
    for (const message of formatSetDevice(wireguardFamily(socket), name, change)) {
      try {
        ask(socket, message, () => {});
      } catch (error) {
        throw error instanceof UapiError ? refusal(error, change) : error;
      } finally {
        // It contains keys.
        message.fill(0);
      }
    }
  });
}

/** Adds a hint to a refusal that the kernel does not explain. */
function refusal(error: UapiError, { peers }: DeviceChange): UapiError {
  const takes = peers.some(({ allowedIps }) => allowedIps.some(({ remove }) => remove));
  if (error.errno !== Errno.EINVAL || !takes) return error;
  const hint = "kernels before 6.16 cannot remove single allowed IPs; set the whole list instead";
  return new UapiError(Errno.EINVAL, error.message, hint);
}

/**
 * Returns the names of the kernel interfaces in this network namespace, in the kernel's order.
 *
 * @throws {UapiError} If the kernel does not answer.
 */
export function listKernelInterfaces(): string[] {
  const header = new Uint8Array(IFINFOMSG.size);
  const message = new MessageWriter(REQUEST_WITHOUT_PEERS, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, header)
    .finish();
  return withNetlink(NETLINK_ROUTE, (socket) =>
    dump(socket, message, () => {
      const names: string[] = [];
      return [names, (payload) => {
        const name = wireguardLink(payload);
        if (name !== undefined) names.push(name);
      }];
    }));
}

/** The name of a link, if it is a WireGuard interface. */
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

/** Finds the number of the family "wireguard". The kernel loads the module if necessary. */
function wireguardFamily(socket: NetlinkSocket): number {
  const header = genericHeader(CTRL_CMD_GETFAMILY, CONTROLLER_VERSION);
  const request = new MessageWriter(REQUEST_WITHOUT_PEERS, GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, header);
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
    throw new UapiError(Errno.EPROTO, "the kernel did not return the family number of WireGuard");
  }
  return family;
}
