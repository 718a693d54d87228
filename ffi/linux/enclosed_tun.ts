/**
 * A TUN interface in a network namespace that nobody enters but the programs that it is made for. It is up from the
 * beginning, and whoever made it brings it up there.
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
  /** It is none of this namespace. */
  readonly location = undefined;

  private constructor(
    readonly host: LinuxHost,
    readonly packets: Tun,
    /** Hears of our own namespace, where the datagrams leave. */
    readonly home: Netlink,
    readonly mtu: number,
  ) {}

  /**
   * Makes the interface.
   *
   * @param options.fd /dev/net/tun, opened in that namespace; it is closed if this throws.
   * @param options.mtu Bytes.
   * @throws {SystemError} If the interface cannot be made; then nothing is left behind.
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

  /** What the kernel agreed to do for us. */
  get offloads(): TunOffloads {
    return this.packets.offloads;
  }

  /** Tells of the interface's state, at once, and of what happens to it from now on. */
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
