/**
 * The interface's UDP port: which it is, which mark it has, and the sockets while the interface is up.
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

/** What the engine does when the sockets change. */
export interface UdpPortEvents {
  /** There are sockets, where there were none. */
  opened(): void;
  /** There are none, though the interface is up. */
  refused(refusal: Refusal): void;
  /** These are the sockets now; null: none any more. */
  replaced(sockets: BoundSockets | null): void;
  /** Port or mark changed: what was learned of our own addresses may be wrong. */
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
  /** Of sockets that are closed now. */
  #pastErrors = 0;
  #pastOverflows = 0;

  constructor(readonly factory: SocketFactory, readonly events: UdpPortEvents) {}

  get listenPort(): number {
    return this.#port;
  }

  get fwmark(): number {
    return this.#mark;
  }

  /** Receives that failed, ICMP errors and empty datagrams among them. */
  get receiveErrors(): number {
    return this.#pastErrors + errorsOf(this.#sockets);
  }

  /** Datagrams that the kernel dropped because they came faster than we took them. */
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
    // While the system takes its time, the interface may go down, and a change of port or mark is done at once.
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
          // That they could be opened is all that was to be known.
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
