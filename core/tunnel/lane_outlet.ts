/**
 * Sends and writes the packets of a lane on Linux.
 *
 * @module
 */

import { type Arena, memoryAt, MovingArena } from "../../ffi/linux/arena.ts";
import { ringEventFd } from "../../ffi/linux/eventfd.ts";
import { TunWriter } from "../../ffi/linux/tun_writer.ts";
import { UdpSocket } from "../../ffi/linux/udp_socket.ts";
import type { Memory } from "../../wasm/memory.ts";
import type { Outlet } from "../engine/doors.ts";

/** Sends and writes by addresses. */
export class LaneOutlet implements Outlet {
  trainsRefused = 0;
  readonly #arena: Arena;
  readonly #tun: TunWriter;
  /** One per family, for the descriptor that was used last. */
  readonly #sockets = new Map<4 | 6, UdpSocket>();
  #socket: UdpSocket | null = null;

  /**
   * @param memory The lane's memory, which does not move from now on.
   * @param tun Descriptor of the TUN device.
   * @param bell Eventfd that wakes the engine.
   */
  constructor(memory: Memory, tun: number, readonly bell: number) {
    this.#arena = new MovingArena(memory);
    this.#tun = new TunWriter(tun);
  }

  get base(): number {
    return this.#arena.base;
  }

  useSocket(fd: number, family: 4 | 6, trains: boolean): void {
    let socket = this.#sockets.get(family);
    if (socket?.fd !== fd) {
      const refused = (_: number, errno: number) => this.trainsRefused = errno;
      socket = UdpSocket.borrow(this.#arena, family, fd, { segment: trains, gro: false, refused });
      this.#sockets.set(family, socket);
    }
    socket.segmentation = trains;
    this.#socket = socket;
  }

  send(to: Uint32Array, address: number, length: number, segment: number, tos: number): number {
    const socket = this.#socket!;
    return socket.send(to, address - this.base, length, segment, tos) === 0 ? 0 : socket.refused;
  }

  write(address: number, length: number): number {
    return this.#tun.write(address, length);
  }

  writeVector(vectors: number, count: number, total: number): number {
    return this.#tun.writeVector(vectors, count, total);
  }

  map(address: number, length: number): ArrayBuffer {
    return memoryAt(address, length);
  }

  ring(): void {
    ringEventFd(this.bell);
  }
}
