/**
 * The sockets of Linux for an engine in a program with an event loop: trains of datagrams in one call, straight into and
 * out of packet memory. Only loaded where Deno permits FFI.
 *
 * @module
 */

import { MovingArena, type MovingMemory } from "../../ffi/linux/arena.ts";
import { EventLoopEpoll } from "../../ffi/linux/event_loop_epoll.ts";
import type { UdpSocket } from "../../ffi/linux/udp_socket.ts";
import type { Opening, SocketFactory } from "../engine/doors.ts";
import type { Features } from "../engine/features.ts";
import { LinuxSockets } from "./linux_sockets.ts";

/** What gives the engine its turns, as far as sockets need it. */
export interface EventLoop {
  /** A source that is asked in each turn from now on. */
  add(source: EventLoopSource): void;
  /** It is asked no more. */
  remove(source: EventLoopSource): void;
  /** Something is ready. */
  wake(): void;
  /** Something has come that should not wait. */
  turnNow(): void;
}

/** Something that an engine is to be told of when it is ready. */
export interface EventLoopSource {
  readonly pending: boolean;
  ready(): void;
}

/** Turns in which an empty socket is asked again before the thread that waits is troubled. */
const PATIENCE = 2;

/** A socket of which the engine is told until it is empty, and then again when something has come. */
class SocketSource implements EventLoopSource {
  pending = true;
  #emptyTurns = 0;

  constructor(
    readonly socket: UdpSocket,
    readonly epoll: EventLoopEpoll,
    readonly tell: () => void,
  ) {}

  ready(): void {
    this.tell();
    if (!this.socket.empty) {
      this.#emptyTurns = 0;
      return;
    }
    if (++this.#emptyTurns <= PATIENCE) return;
    this.#emptyTurns = 0;
    this.pending = false;
    this.epoll.rearm(this.socket.fd);
  }
}

/** Opens sockets, and has the event loop give the engine a turn when datagrams have come. */
export class EventLoopSockets implements SocketFactory {
  readonly #linux: LinuxSockets;
  readonly #epoll = new EventLoopEpoll();
  readonly #sources = new Map<number, SocketSource>();

  constructor(memory: MovingMemory, loop: EventLoop, features: Features) {
    this.#linux = new LinuxSockets(
      {
        watch: (socket, ready) => {
          const source = new SocketSource(socket, this.#epoll, ready);
          this.#sources.set(socket.fd, source);
          this.#epoll.watch(socket.fd, () => {
            source.pending = true;
            loop.turnNow();
          });
          loop.add(source);
          loop.wake();
        },
        forget: ({ fd }) => {
          this.#epoll.forget(fd);
          loop.remove(this.#sources.get(fd)!);
          this.#sources.delete(fd);
        },
      },
      new MovingArena(memory),
      features,
    );
  }

  open(port: number, mark: number, opening: Opening): void {
    this.#linux.open(port, mark, opening);
  }

  /** Lets the thread go that waits. */
  async close(): Promise<void> {
    this.#epoll.close();
    await this.#epoll.ended;
  }
}
