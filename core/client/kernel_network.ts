/**
 * Reads an interface's state, addresses and routes, and the routing rules, over netlink in this network namespace.
 *
 * @module
 */

import { NETLINK_ROUTE } from "../../ffi/linux/constants.ts";
import type { NetlinkSocket } from "../../ffi/linux/netlink_socket.ts";
import type { Family } from "../config/address.ts";
import { Errno } from "../uapi/errno.ts";
import { UapiError } from "../uapi/lines.ts";
import { ask, dump, withNetlink } from "./kernel_socket.ts";
import {
  formatGetAddresses,
  formatGetLink,
  formatGetRoutes,
  formatGetRules,
  type Link,
  readAddress,
  readLink,
  readRoute,
  readRule,
  type Route,
  type Rule,
} from "./netlink_network.ts";

/** The state of an interface, with its routes and rules. */
export interface NetworkState {
  /** Absent if there is no interface of that number. */
  readonly link?: Link;
  /** With their lengths, such as `10.0.0.2/24`. */
  readonly addresses: readonly string[];
  /** Those through the interface, of both families and all tables. */
  readonly routes: readonly Route[];
  /** All rules that select a table and match at most a mark. */
  readonly rules: readonly Rule[];
}

/**
 * Reads the state of an interface.
 *
 * @param index Its interface index; 0 if there is none.
 * @throws {UapiError} If the kernel does not answer.
 */
export function networkState(index: number): NetworkState {
  return withNetlink(NETLINK_ROUTE, (socket) => {
    const link = index === 0 ? undefined : getLink(socket, index);
    const list = <Item>(request: Uint8Array<ArrayBuffer>, read: (payload: Uint8Array) => Item | undefined) =>
      dumpList(socket, request, read);
    const rules = FAMILIES.flatMap((family) => list(formatGetRules(family), readRule));
    if (!link) return { addresses: [], routes: [], rules };
    return {
      link,
      addresses: list(formatGetAddresses(), (payload) => readAddress(payload, index)),
      routes: FAMILIES.flatMap((family) =>
        list(formatGetRoutes(family, index), (payload) => readRoute(payload, index))
      ),
      rules,
    };
  });
}

const FAMILIES: readonly Family[] = [4, 6];

function getLink(socket: NetlinkSocket, index: number): Link | undefined {
  let link: Link | undefined;
  try {
    ask(socket, formatGetLink(index), (payload) => link = readLink(payload));
  } catch (error) {
    if (!(error instanceof UapiError) || error.errno !== Errno.ENODEV) throw error;
  }
  return link;
}

function dumpList<Item>(
  socket: NetlinkSocket,
  request: Uint8Array<ArrayBuffer>,
  read: (payload: Uint8Array) => Item | undefined,
): Item[] {
  try {
    return dump(socket, request, () => {
      const items: Item[] = [];
      return [items, (payload) => {
        const item = read(payload);
        if (item !== undefined) items.push(item);
      }];
    });
  } catch (error) {
    // A kernel without IPv6 or without routing rules has none.
    if (error instanceof UapiError && error.errno === Errno.EOPNOTSUPP) return [];
    throw error;
  }
}
