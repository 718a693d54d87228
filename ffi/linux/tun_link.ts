/**
 * A TUN interface and what becomes of it: it goes up and down, gets another MTU, is renamed, moved to another network
 * namespace, and deleted.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import { Errno } from "./constants.ts";
import type { LinuxHost } from "./host.ts";
import { Netlink } from "./netlink.ts";
import { quietInterface } from "./quiet_interface.ts";
import { SystemError } from "./system_error.ts";
import { Tun, type TunFeatures, type TunOffloads } from "./tun.ts";

/** Who hears what happens to the interface. */
export interface TunLinkEvents {
  /** Packets wait to be read. */
  readable(): void;
  /** The interface's state, changed or not. @param state.mtu Bytes. */
  state(state: { readonly up: boolean; readonly mtu: number }): void;
  /** Addresses or routes changed, of this machine or where the interface is. */
  routing(): void;
  /** The interface is gone. @param reason For people. */
  gone(reason: string): void;
}

/** A TUN interface that is followed wherever it goes. Closing it deletes the interface. */
export class TunLink {
  #events: TunLinkEvents | null = null;
  /** The interface's number in the namespace where it is. */
  #index = 0;
  /** Bytes. Not all news about the interface say it. */
  #mtu = 0;
  /** Hears of the namespace that the interface is in, if it was moved out of ours. */
  #moved: Netlink | null = null;

  private constructor(
    readonly host: LinuxHost,
    readonly arena: Arena,
    readonly packets: Tun,
    /** Hears of our namespace. */
    readonly home: Netlink,
  ) {}

  /**
   * Makes the interface, which is down then.
   *
   * @param name 1 to 15 bytes.
   * @param options.mtu Bytes.
   * @throws {SystemError} If the device is missing, busy or not permitted; then nothing is left behind.
   */
  static open(
    host: LinuxHost,
    arena: Arena,
    name: string,
    options: { readonly features: TunFeatures; readonly mtu: number },
  ): TunLink {
    // Before there is an interface, so that nothing that happens to it is missed.
    const home = new Netlink(arena);
    let link: TunLink | undefined;
    try {
      link = new TunLink(host, arena, Tun.open(arena, name, options.features), home);
      quietInterface(name);
      link.#ask((tun) => tun.mtu = options.mtu);
      return link;
    } catch (error) {
      if (link) link.close();
      else home.close();
      throw error;
    }
  }

  /** The interface's name as last seen. */
  get name(): string {
    return this.packets.name;
  }

  /** Where the interface is now, and its name there; undefined if it was deleted. */
  get location(): Tun["location"] | undefined {
    try {
      return this.#ask((tun) => tun.location);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return undefined;
    }
  }

  /** What the kernel agreed to do for us. */
  get offloads(): TunOffloads {
    return this.packets.offloads;
  }

  /** Tells of the interface's state, at once, and of all that happens to it from now on. */
  watch(events: TunLinkEvents): void {
    this.#events = events;
    this.host.watch(this.packets.fd, () => {
      events.readable();
      if (this.packets.deleted) this.#deleted();
    });
    for (const links of [this.home, this.#moved]) if (links) this.#listen(links);
    this.#unlessGone(() => this.#look());
  }

  /** Deletes the interface. */
  close(): void {
    for (const { fd } of [this.packets, this.home, this.#moved].filter((source) => source !== null)) {
      this.host.forget(fd);
    }
    this.packets.close();
    this.home.close();
    this.#moved?.close();
  }

  /** Hears of the namespace that the interface is in. */
  get #here(): Netlink {
    return this.#moved ?? this.home;
  }

  #listen(links: Netlink): void {
    this.host.watch(links.fd, () => this.#networkChanged(links));
  }

  #networkChanged(links: Netlink): void {
    for (const event of links.events()) {
      if (event.kind === "routing") {
        this.#events!.routing();
      } else if (event.index !== this.#index || this.#here !== links) {
        continue;
      } else if (event.kind === "gone") {
        // It left this namespace: it was moved to another one, or deleted.
        this.#unlessGone(() => {
          this.#follow();
          this.#look();
        });
        return;
      } else {
        this.#mtu = event.mtu ?? this.#mtu;
        this.#events!.state({ up: event.up, mtu: this.#mtu });
      }
    }
  }

  /** Takes over what the interface is like, in place of what the news until now said. */
  #look(): void {
    const { index, mtu, up } = this.#ask((tun) => {
      // Should there be more of it than one call reads, the last of it will say what is true now.
      for (const { kind } of this.#here.events()) if (kind === "routing") this.#events!.routing();
      return { index: tun.index, mtu: tun.mtu, up: tun.up };
    });
    this.#index = index;
    this.#mtu = mtu;
    this.#events!.state({ up, mtu });
  }

  /** Asks the kernel for something about the interface. Whoever sees it may have moved it a moment ago. */
  #ask<Answer>(question: (tun: Tun) => Answer): Answer {
    for (;;) {
      try {
        return question(this.packets);
      } catch (error) {
        if (!(error instanceof SystemError) || error.errno !== Errno.ENODEV) throw error;
        this.#follow();
      }
    }
  }

  /** Listens in the namespace where the interface is now. @throws {SystemError} If it was deleted (EBADFD). */
  #follow(): void {
    const links = this.packets.follow(() => {
      quietInterface(this.packets.name);
      return new Netlink(this.arena);
    });
    if (this.#moved) {
      this.host.forget(this.#moved.fd);
      this.#moved.close();
    }
    this.#moved = links;
    if (this.#events) this.#listen(links);
  }

  #unlessGone(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.errno === Errno.EBADFD) this.#deleted();
      else this.#events!.gone(`the interface ${this.name} cannot be followed: ${error.message}`);
    }
  }

  #deleted(): void {
    this.#events!.gone(`the interface ${this.name} was deleted`);
  }
}
