/**
 * The UDP sockets of one port, over IPv4 and IPv6.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import { Errno } from "./constants.ts";
import { SystemError } from "./system_error.ts";
import { type UdpFeatures, UdpSocket } from "./udp_socket.ts";

/** The two sockets of one port. */
export interface UdpPair {
  readonly v4: UdpSocket;
  /** Null if the kernel has no IPv6. */
  readonly v6: UdpSocket | null;
  readonly port: number;
}

/**
 * Opens both families on one port. With port 0 the kernel chooses one that is free in both.
 *
 * @throws {SystemError} If the port is taken.
 */
export function openUdpPair(
  arena: Arena,
  options: { port: number; mark: number; features: UdpFeatures },
): UdpPair {
  const { mark, features } = options;
  // A port that is free for IPv4 may be in use for IPv6. Then another one is tried, as in the kernel (socket.c).
  for (let attempt = 1;; attempt++) {
    const v4 = UdpSocket.open(arena, { family: 4, port: options.port, mark, features });
    try {
      const { port } = v4;
      return { v4, v6: openV6(arena, port, mark, features), port };
    } catch (error) {
      v4.close();
      const taken = error instanceof SystemError && error.errno === Errno.EADDRINUSE;
      if (!taken || options.port !== 0 || attempt === 100) throw error;
    }
  }
}

function openV6(arena: Arena, port: number, mark: number, features: UdpFeatures): UdpSocket | null {
  try {
    return UdpSocket.open(arena, { family: 6, port, mark, features });
  } catch (error) {
    if (
      error instanceof SystemError &&
      (error.errno === Errno.EAFNOSUPPORT || error.errno === Errno.EADDRNOTAVAIL)
    ) {
      return null;
    }
    throw error;
  }
}
