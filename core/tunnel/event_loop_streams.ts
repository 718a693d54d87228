/**
 * Linux's own stream sockets for a program with an event loop, by their descriptors.
 *
 * @module
 */

import type { EventLoopEpoll } from "../../ffi/linux/event_loop_epoll.ts";
import {
  acceptStream,
  AGAIN,
  breakOffStream,
  closeStream,
  endStream,
  failureOf,
  listenTcp,
  listenUnix,
  localName,
  receiveStream,
  remoteName,
  sendStream,
} from "../../ffi/linux/stream_socket.ts";
import { errorText } from "../../ffi/linux/libc.ts";

/** Listening sockets and connections that never block. */
export class EventLoopStreams {
  readonly listenTcp = listenTcp;
  readonly listenUnix = listenUnix;
  readonly accept = acceptStream;
  readonly again = AGAIN;
  readonly receive = receiveStream;
  readonly send = sendStream;
  readonly end = endStream;
  readonly failure = failureOf;
  readonly breakOff = breakOffStream;
  readonly localName = localName;
  readonly remoteName = remoteName;
  readonly #epoll: EventLoopEpoll;

  constructor(epoll: EventLoopEpoll) {
    this.#epoll = epoll;
  }

  /** Wakes the waiter when the descriptor may be read, until it is closed. */
  watch(fd: number, waiter: { wake(): void }): void {
    this.#epoll.watchEdges(fd, waiter);
  }

  /** Wakes the waiter once, when the descriptor may be read or written. */
  watchOnce(fd: number, waiter: { wake(): void }, arrivals: boolean, room: boolean): void {
    this.#epoll.watchOnce(fd, waiter, arrivals, room);
  }

  close(fd: number): void {
    this.#epoll.forget(fd);
    closeStream(fd);
  }

  /** The text of a negative errno. */
  describe(errno: number): string {
    return errorText(-errno);
  }
}
