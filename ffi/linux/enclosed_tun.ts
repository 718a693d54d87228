/**
 * A TUN interface in the network namespace of `wgd exec`. The engine treats it as up from the beginning; the caller
 * brings it up in the namespace.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import type { LinuxHost } from "./host.ts";
import { Netlink } from "./netlink.ts";
import { Tun, type TunFeatures, type TunOffloads } from "./tun.ts";
import type { TunLinkEvents } from "./tun_link.ts";

/** A TUN interface of another network namespace. Closing it deletes the interface. */
export class EnclosedTun {
  /** It has no index in this namespace. */
  readonly location = undefined;

  private constructor(
    readonly host: LinuxHost,
    readonly packets: Tun,
    /** Watches this process's namespace, from which the datagrams are sent. */
    readonly home: Netlink,
    readonly mtu: number,
  ) {}

  /**
   * Makes the interface.
   *
   * @param options.fd /dev/net/tun, opened in that namespace; it is closed if this throws.
   * @param options.mtu Bytes.
   * @throws {SystemError} If the interface cannot be made. Nothing is left behind then.
   */
  static open(
    host: LinuxHost,
    arena: Arena,
    name: string,
    options: { readonly fd: number; readonly features: TunFeatures; readonly mtu: number },
  ): EnclosedTun {
    const packets = Tun.make(arena, options.fd, name, options.features);
    try {
      return new EnclosedTun(host, packets, new Netlink(arena), options.mtu);
    } catch (error) {
      packets.close();
      throw error;
    }
  }

  /** The interface's name. */
  get name(): string {
    return this.packets.name;
  }

  /** The offloads that the kernel supports. */
  get offloads(): TunOffloads {
    return this.packets.offloads;
  }

  /** Reports the interface's state at once, and its events from now on. */
  watch(events: TunLinkEvents): void {
    this.host.watch(this.packets.fd, () => {
      events.readable();
      if (this.packets.deleted) events.gone(`the interface ${this.name} was deleted`);
    });
    this.host.watch(this.home.fd, () => {
      for (const { kind } of this.home.events()) if (kind === "routing") events.routing();
    });
    events.state({ up: true, mtu: this.mtu });
  }

  /** Deletes the interface. */
  close(): void {
    for (const { fd } of [this.packets, this.home]) this.host.forget(fd);
    this.packets.close();
    this.home.close();
  }
}
