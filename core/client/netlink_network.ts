/**
 * Decodes links, addresses, routes and rules from rtnetlink (linux/rtnetlink.h).
 *
 * @module
 */

import {
  AF_INET,
  AF_INET6,
  FIB_RULE_HDR,
  FIB_RULE_INVERT,
  FR_ACT_TO_TBL,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_PRIORITY,
  FRA_PROTOCOL,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  IFA_ADDRESS,
  IFA_LOCAL,
  IFADDRMSG,
  IFF_UP,
  IFINFOMSG,
  IFLA_MTU,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  RTA_DST,
  RTA_OIF,
  RTA_TABLE,
  RTM_F_CLONED,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_GETRULE,
  RTMSG,
} from "../../ffi/linux/constants.ts";
import { type Family, formatAddress } from "../config/address.ts";
import { attributes, MessageWriter, viewOf } from "./netlink.ts";

/** The properties that interfaces of every kind have. */
export interface Link {
  readonly up: boolean;
  /** In bytes. */
  readonly mtu: number;
}

/** A route of an interface. */
export interface Route {
  /** A number below 2^32. */
  readonly table: number;
  /** In the form of `formatPrefix`. */
  readonly network: string;
}

/** A rule that sends packets to a routing table. */
export interface Rule {
  readonly family: Family;
  /** Lower ones come first. */
  readonly priority: number;
  readonly table: number;
  /** The mark that packets must have, or must not have if `inverted`; absent if the rule does not match a mark. */
  readonly mark?: number;
  readonly inverted: boolean;
  /** Routes of the table with a prefix of this length or shorter do not count; absent if all count. */
  readonly suppressedLength?: number;
}

/** Bytes that these requests need at most. */
const CAPACITY = 64;
/** All bits: the mark is compared whole. */
const ALL_BITS = 0xffff_ffff;

/** Requests one link. */
export function formatGetLink(index: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(IFINFOMSG.size);
  viewOf(header).setInt32(IFINFOMSG.index, index, true);
  return new MessageWriter(CAPACITY, RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, header).finish();
}

/** Requests the addresses of all links. */
export function formatGetAddresses(): Uint8Array<ArrayBuffer> {
  return request(RTM_GETADDR, IFADDRMSG.size).finish();
}

/**
 * Requests the routes of one link. Kernels before 4.20 do not filter and return the routes of all links.
 *
 * @param family The kernel filters by interface only within a family.
 */
export function formatGetRoutes(family: Family, index: number): Uint8Array<ArrayBuffer> {
  const message = request(RTM_GETROUTE, RTMSG.size, family);
  message.u32(RTA_OIF, index);
  return message.finish();
}

/** Requests all rules of a family. */
export function formatGetRules(family: Family): Uint8Array<ArrayBuffer> {
  return request(RTM_GETRULE, FIB_RULE_HDR.size, family).finish();
}

function request(type: number, headerSize: number, family?: Family): MessageWriter {
  const header = new Uint8Array(headerSize);
  // It is the first byte of each header.
  if (family) header[0] = family === 4 ? AF_INET : AF_INET6;
  return new MessageWriter(CAPACITY, type, NLM_F_REQUEST | NLM_F_DUMP, header);
}

/** Reads a link. */
export function readLink(payload: Uint8Array): Link {
  const up = (viewOf(payload).getUint32(IFINFOMSG.flags, true) & IFF_UP) !== 0;
  let mtu = 0;
  for (const attribute of attributes(payload.subarray(IFINFOMSG.size))) {
    if (attribute.type === IFLA_MTU) mtu = attribute.u32();
  }
  return { up, mtu };
}

/** Reads an address with its length, such as `10.0.0.2/24`; undefined if it belongs to another link. */
export function readAddress(payload: Uint8Array, index: number): string | undefined {
  const view = viewOf(payload);
  if (view.getUint32(IFADDRMSG.index, true) !== index) return undefined;
  let address: Uint8Array | undefined;
  for (const { type, value } of attributes(payload.subarray(IFADDRMSG.size))) {
    // On a link that has a peer, IFA_ADDRESS is the peer's, and IFA_LOCAL ours.
    if (type === IFA_LOCAL || type === IFA_ADDRESS && !address) address = value.slice();
  }
  return address && `${formatAddress(address)}/${view.getUint8(IFADDRMSG.length)}`;
}

/** Reads a route; undefined if it belongs to another link or is a cached or local route of the kernel. */
export function readRoute(payload: Uint8Array, index: number): Route | undefined {
  const view = viewOf(payload);
  if ((view.getUint32(RTMSG.flags, true) & RTM_F_CLONED) !== 0) return undefined;
  let table = view.getUint8(RTMSG.table);
  let address = new Uint8Array(view.getUint8(RTMSG.family) === AF_INET ? 4 : 16);
  let device = 0;
  for (const attribute of attributes(payload.subarray(RTMSG.size))) {
    if (attribute.type === RTA_TABLE) table = attribute.u32();
    if (attribute.type === RTA_OIF) device = attribute.u32();
    if (attribute.type === RTA_DST) address = attribute.value.slice();
  }
  if (device !== index) return undefined;
  return { table, network: `${formatAddress(address)}/${view.getUint8(RTMSG.destinationLength)}` };
}

/** Reads a rule; undefined if it does not select a table, or matches more than a mark. */
export function readRule(payload: Uint8Array): Rule | undefined {
  const view = viewOf(payload);
  if (view.getUint8(FIB_RULE_HDR.action) !== FR_ACT_TO_TBL || view.getUint8(FIB_RULE_HDR.tos) !== 0) {
    return undefined;
  }
  let table = view.getUint8(FIB_RULE_HDR.table);
  let priority = 0;
  let mark: number | undefined;
  let mask = ALL_BITS;
  let suppressedLength: number | undefined;
  for (const attribute of attributes(payload.subarray(FIB_RULE_HDR.size))) {
    switch (attribute.type) {
      case FRA_TABLE:
        table = attribute.u32();
        break;
      case FRA_PRIORITY:
        priority = attribute.u32();
        break;
      case FRA_FWMARK:
        mark = attribute.u32();
        break;
      case FRA_FWMASK:
        mask = attribute.u32();
        break;
      case FRA_SUPPRESS_PREFIXLEN:
        suppressedLength = attribute.u32();
        break;
      case FRA_PROTOCOL:
        break;
      default:
        return undefined;
    }
  }
  if (mark !== undefined && mask !== ALL_BITS) return undefined;
  return {
    family: view.getUint8(FIB_RULE_HDR.family) === AF_INET ? 4 : 6,
    priority,
    table,
    inverted: (view.getUint32(FIB_RULE_HDR.flags, true) & FIB_RULE_INVERT) !== 0,
    ...(mark !== undefined && { mark }),
    // A value with all bits set means that there is no such limit.
    ...(suppressedLength !== undefined && suppressedLength !== ALL_BITS && { suppressedLength }),
  };
}
