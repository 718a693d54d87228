/**
 * Reports interfaces that come up.
 *
 * @module
 */

import { IFF_UP, IFINFOMSG, IFLA_IFNAME, RTM_NEWLINK, RTMGRP_LINK } from "./constants.ts";
import { attributeIn, messagesIn } from "./netlink_messages.ts";
import { NetlinkNotices } from "./netlink_notices.ts";

/** Names of interfaces; "unknown" if the kernel has lost messages, so that any interface may have come up. */
export type LinksUp = ReadonlySet<string> | "unknown";

/** Watches the network namespace that it was made in. */
export class LinkWatch {
  readonly #notices: NetlinkNotices;

  /** @throws {SystemError} If the system does not report changes. */
  constructor() {
    this.#notices = new NetlinkNotices(RTMGRP_LINK);
  }

  /** Each time interfaces come up. It ends when this is closed, and must be read until then. */
  async *[Symbol.asyncIterator](): AsyncGenerator<LinksUp, void> {
    for await (const messages of this.#notices) {
      const up = messages === "lost" ? "unknown" : new Set(messages.flatMap((each) => [...namesUp(each)]));
      if (up === "unknown" || up.size > 0) yield up;
    }
  }

  /** Ends the iteration. */
  close(): void {
    this.#notices.close();
  }
}

/** The interfaces that have come up according to netlink messages (rtnetlink(7)). */
export function* namesUp(messages: Uint8Array): Generator<string> {
  const view = new DataView(messages.buffer, messages.byteOffset, messages.length);
  for (const { type, payload, end } of messagesIn(view, 0, view.byteLength)) {
    const attributes = payload + IFINFOMSG.size;
    if (type !== RTM_NEWLINK || attributes > end) continue;
    const isUp = view.getUint32(payload + IFINFOMSG.flags, true) & IFF_UP;
    const hasChanged = view.getUint32(payload + IFINFOMSG.change, true) & IFF_UP;
    const name = isUp && hasChanged ? attributeIn(view, attributes, end, IFLA_IFNAME) : undefined;
    if (name) yield new TextDecoder().decode(name).replace(/\0+$/, "");
  }
}
