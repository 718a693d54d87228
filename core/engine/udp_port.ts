/**
 * The interface's UDP port: its number, its mark, and its sockets while the interface is up.
 *
 * @module
 */

import type { SocketSettings } from "./control/server.ts";
import {
  type BoundSockets,
  type DatagramSocket,
  isRefusal,
  type Refusal,
  type SocketFactory,
} from "./doors.ts";

/** Called when the sockets change. */
export interface UdpPortEvents {
  /** The sockets were opened. */
  opened(): void;
  /** The sockets could not be opened, although the interface is up. */
  refused(refusal: Refusal): void;
  /** The sockets changed; null if they were closed. */
  replaced(sockets: BoundSockets | null): void;
  /** Port or mark changed. The stored local addresses may no longer be valid. */
  changed(): void;
  /** Datagrams wait at a socket. */
  readonly readable: (socket: DatagramSocket) => void;
}

/** Port, mark and sockets. */
export class UdpPort implements SocketSettings {
  #port = 0;
  #mark = 0;
  /** Whether the interface is up, so that there should be sockets. */
  #wanted = false;
  #opening = false;
  #sockets: BoundSockets | null = null;
  /** Counters of closed sockets. */
  #pastErrors = 0;
  #pastOverflows = 0;

  constructor(readonly factory: SocketFactory, readonly events: UdpPortEvents) {}

  get listenPort(): number {
    return this.#port;
  }

  get fwmark(): number {
    return this.#mark;
  }

  /** Receives that failed, including ICMP errors and empty datagrams. */
  get receiveErrors(): number {
    return this.#pastErrors + errorsOf(this.#sockets);
  }

  /** Datagrams that the kernel dropped because the receive buffer was full. */
  get overflows(): number {
    return this.#pastOverflows + overflowsOf(this.#sockets);
  }

  /** The sockets, or null while there are none. */
  get sockets(): BoundSockets | null {
    return this.#sockets;
  }

  /** The interface is up: opens the sockets. A port that the system chose once is kept. */
  open(): void {
    this.#wanted = true;
    if (this.#sockets !== null || this.#opening) return;
    this.#opening = true;
    const [port, mark] = [this.#port, this.#mark];
    // While sockets are being opened, the interface may go down, and port or mark may change.
    const isNeeded = () => this.#wanted && this.#sockets === null;
    const isChanged = () => port !== this.#port || mark !== this.#mark;
    this.factory.open(port, mark, {
      opened: (sockets) => {
        this.#opening = false;
        if (isNeeded() && !isChanged()) return this.#replace(sockets);
        sockets.close();
        if (isNeeded()) this.open();
      },
      refused: (refusal) => {
        this.#opening = false;
        if (!isNeeded()) return;
        if (isChanged()) this.open();
        else this.events.refused(refusal);
      },
      readable: this.events.readable,
    });
  }

  /** The interface is down: closes the sockets. */
  close(): void {
    this.#wanted = false;
    if (this.#sockets !== null) this.#replace(null);
  }

  change(
    newPort: number | undefined,
    newMark: number | undefined,
    done: (errno: number) => void,
  ): void {
    const listenPort = newPort ?? this.#port, fwmark = newMark ?? this.#mark;
    if (listenPort === this.#port && listenPort !== 0) {
      done(this.#setMark(fwmark));
      return;
    }
    this.factory.open(listenPort, fwmark, {
      opened: (sockets) => {
        this.#mark = fwmark;
        if (this.#wanted) {
          this.#replace(sockets);
        } else {
          // This only tests whether they can be opened.
          sockets.close();
          this.#port = listenPort;
        }
        this.events.changed();
        done(0);
      },
      refused: ({ errno }) => done(errno),
      readable: this.events.readable,
    });
  }

  #setMark(mark: number): number {
    try {
      if (mark !== this.#mark) this.#sockets?.setMark(mark);
    } catch (error) {
      if (isRefusal(error)) return error.errno;
      throw error;
    }
    this.#mark = mark;
    this.events.changed();
    return 0;
  }

  #replace(sockets: BoundSockets | null): void {
    const old = this.#sockets;
    this.#sockets = sockets;
    if (sockets !== null) this.#port = sockets.port;
    this.events.replaced(sockets);
    this.#pastErrors += errorsOf(old);
    this.#pastOverflows += overflowsOf(old);
    old?.close();
    if (old === null) this.events.opened();
  }
}

function errorsOf(sockets: BoundSockets | null): number {
  return (sockets?.v4.errors ?? 0) + (sockets?.v6?.errors ?? 0);
}

function overflowsOf(sockets: BoundSockets | null): number {
  return (sockets?.v4.memory.drops ?? 0) + (sockets?.v6?.memory.drops ?? 0);
}
