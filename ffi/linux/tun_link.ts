/**
 * A TUN interface and its events: it goes up and down, its MTU changes, and it is renamed, moved to another network
 * namespace, or deleted.
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

/** Functions for the events of the interface. */
export interface TunLinkEvents {
  /** Packets wait to be read. */
  readable(): void;
  /** The interface's state, changed or not. @param state.mtu Bytes. */
  state(state: { readonly up: boolean; readonly mtu: number }): void;
  /** Addresses or routes changed, in this namespace or in the interface's. */
  routing(): void;
  /** The interface was deleted. @param reason A text for users. */
  gone(reason: string): void;
}

/** A TUN interface that is also watched after it was renamed or moved. Closing it deletes the interface. */
export class TunLink {
  #events: TunLinkEvents | null = null;
  /** The interface's index in its namespace. */
  #index = 0;
  /** Bytes. Not all messages about the interface contain it. */
  #mtu = 0;
  /** Watches the interface's namespace, if it was moved out of this process's. */
  #moved: Netlink | null = null;

  private constructor(
    readonly host: LinuxHost,
    readonly arena: Arena,
    readonly packets: Tun,
    /** Watches this process's namespace. */
    readonly home: Netlink,
  ) {}

  /**
   * Makes the interface. It is down at first.
   *
   * @param name 1 to 15 bytes.
   * @param options.mtu Bytes.
   * @throws {SystemError} If the device is missing, busy or not permitted. Nothing is left behind then.
   */
  static open(
    host: LinuxHost,
    arena: Arena,
    name: string,
    options: { readonly features: TunFeatures; readonly mtu: number },
  ): TunLink {
    // Opened before the interface is made, so that no event is missed.
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

  /** The offloads that the kernel supports. */
  get offloads(): TunOffloads {
    return this.packets.offloads;
  }

  /** Reports the interface's state at once, and all events from now on. */
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

  /** Watches the interface's namespace. */
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

  /** Reads the interface's current state, which replaces the state from earlier messages. */
  #look(): void {
    const { index, mtu, up } = this.#ask((tun) => {
      // If there are more messages than one call reads, the last one has the current state.
      for (const { kind } of this.#here.events()) if (kind === "routing") this.#events!.routing();
      return { index: tun.index, mtu: tun.mtu, up: tun.up };
    });
    this.#index = index;
    this.#mtu = mtu;
    this.#events!.state({ up, mtu });
  }

  /** Requests something about the interface from the kernel. It may have been moved a moment ago. */
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

  /** Watches the namespace in which the interface is now. @throws {SystemError} If it was deleted (EBADFD). */
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
