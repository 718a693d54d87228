/**
 * The interface's UDP port: which it is, which mark it has, and the sockets while the interface is up.
 *
 * @module
 */

import type { Arena } from "../../ffi/linux/arena.ts";
import { SystemError } from "../../ffi/linux/system_error.ts";
import { openUdpPair, type UdpPair } from "../../ffi/linux/udp.ts";
import type { SocketSettings } from "./control/server.ts";
import type { Features } from "./features.ts";

/** What the engine does when the sockets change. */
export interface UdpPortEvents {
  /** New sockets are to be watched, in place of the old ones if there were any; null: none any more. */
  replaced(pair: UdpPair | null, old: UdpPair | null): void;
  /** Port or mark changed: what was learned of our own addresses may be wrong. */
  changed(): void;
}

/** Port, mark and sockets. */
export class UdpPort implements SocketSettings {
  #port = 0;
  #mark = 0;
  #pair: UdpPair | null = null;
  /** Of sockets that are closed now. */
  #pastErrors = 0;
  #pastOverflows = 0;

  constructor(readonly arena: Arena, readonly features: Features, readonly events: UdpPortEvents) {}

  get listenPort(): number {
    return this.#port;
  }

  get fwmark(): number {
    return this.#mark;
  }

  /** Receives that failed, ICMP errors and empty datagrams among them. */
  get receiveErrors(): number {
    return this.#pastErrors + errorsOf(this.#pair);
  }

  /** Datagrams that the kernel dropped because they came faster than we took them. */
  get overflows(): number {
    return this.#pastOverflows + overflowsOf(this.#pair);
  }

  /** The sockets, or null while the interface is down. */
  get pair(): UdpPair | null {
    return this.#pair;
  }

  /**
   * Opens the sockets. A port that the kernel chose once is kept.
   *
   * @throws {SystemError} If the port is taken.
   */
  open(): void {
    if (this.#pair === null) this.#replace(this.#bind(this.#port, this.#mark));
  }

  /** Closes the sockets. */
  close(): void {
    if (this.#pair !== null) this.#replace(null);
  }

  change(listenPort: number = this.#port, fwmark: number = this.#mark): number {
    try {
      if (listenPort !== this.#port || listenPort === 0) {
        const pair = this.#bind(listenPort, fwmark);
        if (this.#pair === null) {
          // The interface is down, so this only tells whether the port could be had.
          closePair(pair);
          this.#port = listenPort;
        } else this.#replace(pair);
      } else if (fwmark !== this.#mark && this.#pair !== null) {
        this.#pair.v4.setMark(fwmark);
        this.#pair.v6?.setMark(fwmark);
      }
    } catch (error) {
      if (error instanceof SystemError) return error.errno;
      throw error;
    }
    this.#mark = fwmark;
    this.events.changed();
    return 0;
  }

  #bind(port: number, mark: number): UdpPair {
    const { features } = this;
    const pair = openUdpPair(this.arena, {
      port,
      mark,
      features: {
        segment: features.wanted("udp-gso"),
        gro: features.wanted("udp-gro"),
        refused: (family, errno) => {
          const { code } = new SystemError("sending", errno);
          features.retreat(
            "udp-gso",
            `a route over IPv${family} refused a train (${code}); datagrams go singly now`,
          );
        },
      },
    });
    if (!pair.v4.segmentation) features.lack("udp-gso", "the kernel has no UDP_SEGMENT");
    if (!pair.v4.coalescing) features.lack("udp-gro", "the kernel refused UDP_GRO");
    return pair;
  }

  #replace(pair: UdpPair | null): void {
    const old = this.#pair;
    this.#pair = pair;
    if (pair !== null) this.#port = pair.port;
    this.events.replaced(pair, old);
    this.#pastErrors += errorsOf(old);
    this.#pastOverflows += overflowsOf(old);
    if (old !== null) closePair(old);
  }
}

function closePair({ v4, v6 }: UdpPair): void {
  v4.close();
  v6?.close();
}

function errorsOf(pair: UdpPair | null): number {
  return (pair?.v4.errors ?? 0) + (pair?.v6?.errors ?? 0);
}

function overflowsOf(pair: UdpPair | null): number {
  return (pair?.v4.memory.drops ?? 0) + (pair?.v6?.memory.drops ?? 0);
}
