/**
 * Linux's own sockets for an engine on an event loop. One call receives or sends a train of datagrams directly in
 * packet memory. Loaded only if Deno permits FFI.
 *
 * @module
 */

import { MovingArena, type MovingMemory } from "../../ffi/linux/arena.ts";
import { EventLoopEpoll } from "../../ffi/linux/event_loop_epoll.ts";
import type { UdpSocket } from "../../ffi/linux/udp_socket.ts";
import type { Opening, SocketFactory } from "../engine/doors.ts";
import type { Features } from "../engine/features.ts";
import { EventLoopStreams } from "./event_loop_streams.ts";
import { LinuxSockets } from "./linux_sockets.ts";

/** The part of the event loop's host that sockets need. */
export interface EventLoop {
  /** Adds a source, which is polled in each turn. */
  add(source: EventLoopSource): void;
  /** Removes a source. */
  remove(source: EventLoopSource): void;
  /** Called when a source is ready. */
  wake(): void;
  /** Called when something has arrived that should be processed at once. */
  turnNow(): void;
}

/** A source that calls the engine when it is ready. */
export interface EventLoopSource {
  readonly pending: boolean;
  ready(): void;
}

/** How many turns an empty socket is polled before the waiting thread is used. */
const MAX_EMPTY_TURNS = 2;

/** A socket that is reported to the engine until it is empty, and again when something has arrived. */
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
    if (++this.#emptyTurns <= MAX_EMPTY_TURNS) return;
    this.#emptyTurns = 0;
    this.pending = false;
    this.epoll.rearm(this.socket.fd);
  }
}

/** Opens sockets, and gives the engine a turn when datagrams have arrived. */
export class EventLoopSockets implements SocketFactory {
  readonly #linux: LinuxSockets;
  readonly #epoll = new EventLoopEpoll();
  readonly #sources = new Map<number, SocketSource>();
  /** Connections of programs on this machine. They share the waiting thread. */
  readonly streams: EventLoopStreams = new EventLoopStreams(this.#epoll);

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

  /** Ends the waiting thread. */
  async close(): Promise<void> {
    this.#epoll.close();
    await this.#epoll.ended;
  }
}
