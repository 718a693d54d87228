/**
 * Makes a host in userspace the engine's link. It is always up, and no other program can change or delete it.
 *
 * @module
 */

import { formatAddress } from "../config/address.ts";
import type { UserspaceEnd } from "../uapi/diagnostics.ts";
import type { Link, LinkEvents } from "../engine/doors.ts";
import type { Source } from "./event_loop_host.ts";
import type { IpHost } from "./ip_host.ts";

/** The link between an engine and a host in this process. */
export class UserLink implements Link, Source {
  readonly packets: IpHost;
  readonly offloads = { tcp: true, udp: false } as const;
  /** It is in no namespace. */
  readonly location = undefined;
  readonly userspace: UserspaceEnd;
  #events: LinkEvents | null = null;

  constructor(readonly name: string, ipHost: IpHost, mtu: number, addresses: readonly Uint8Array[]) {
    this.packets = ipHost;
    this.userspace = { mtu, addresses: addresses.map(formatAddress) };
  }

  watch(events: LinkEvents): void {
    this.#events = events;
    events.state({ up: true, mtu: this.userspace.mtu });
  }

  get pending(): boolean {
    return this.packets.hasOutput;
  }

  ready(): void {
    this.#events?.readable();
  }

  close(): void {
    this.#events = null;
  }
}
