/**
 * A host in userspace as the engine's link: it is always up, and nobody else can change or take it away.
 *
 * @module
 */

import type { Link, LinkEvents } from "../engine/doors.ts";
import type { Source } from "./event_loop_host.ts";
import type { IpHost } from "./ip_host.ts";

/** The link between an engine and a host in this process. */
export class UserLink implements Link, Source {
  readonly packets: IpHost;
  readonly offloads = { tcp: true, udp: false } as const;
  /** It is in no namespace. */
  readonly location = undefined;
  #events: LinkEvents | null = null;

  constructor(readonly name: string, ipHost: IpHost, readonly mtu: number) {
    this.packets = ipHost;
  }

  watch(events: LinkEvents): void {
    this.#events = events;
    events.state({ up: true, mtu: this.mtu });
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
