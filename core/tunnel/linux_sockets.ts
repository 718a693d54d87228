/**
 * The engine's UDP sockets on Linux, with the features that were not turned off.
 *
 * @module
 */

import type { Arena } from "../../ffi/linux/arena.ts";
import { SystemError } from "../../ffi/linux/system_error.ts";
import { openUdpPair, type UdpPair } from "../../ffi/linux/udp_pair.ts";
import type { UdpSocket } from "../../ffi/linux/udp_socket.ts";
import type { BoundSockets, Opening, SocketFactory } from "../engine/doors.ts";
import type { Features } from "../engine/features.ts";

/** Reports when a socket can be read. */
export interface SocketWatcher {
  watch(socket: UdpSocket, ready: () => void): void;
  forget(socket: UdpSocket): void;
}

/** Opens sockets and has them watched. */
export class LinuxSockets implements SocketFactory {
  constructor(readonly watcher: SocketWatcher, readonly arena: Arena, readonly features: Features) {}

  open(port: number, mark: number, { opened, refused, readable }: Opening): void {
    let sockets: BoundSockets;
    try {
      sockets = this.#watch(this.#openPair(port, mark), readable);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      refused(error);
      return;
    }
    opened(sockets);
  }

  #openPair(port: number, mark: number): UdpPair {
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

  #watch({ v4, v6, port }: UdpPair, readable: Opening["readable"]): BoundSockets {
    const both = v6 === null ? [v4] : [v4, v6];
    const sockets = {
      v4,
      v6,
      port,
      setMark: (mark: number) => {
        for (const socket of both) socket.setMark(mark);
      },
      close: () => {
        for (const socket of both) {
          this.watcher.forget(socket);
          socket.close();
        }
      },
    };
    try {
      for (const socket of both) this.watcher.watch(socket, () => readable(socket));
      return sockets;
    } catch (error) {
      sockets.close();
      throw error;
    }
  }
}
