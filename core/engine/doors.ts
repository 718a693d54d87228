/**
 * The interfaces through which an engine reaches the system: a host, a link, UDP sockets, and the control socket.
 * `ffi/linux/` implements them for Linux: an epoll loop in a thread of its own, a TUN device, UDP and Unix sockets. A
 * TCP/IP stack in userspace is another link. A program with an event loop is another host: it calls `Engine.turn` when
 * something is ready, and may have many engines. Tests implement all of it in memory.
 *
 * A source (a link, a socket, the control socket, a stream) gets a function to call when it is ready. Only
 * `Host.dispatch` calls these functions, inside a turn. They are level-triggered: if a source is still ready after its
 * function has run, the function is called again in the next turn, which follows at once.
 *
 * Packets and datagrams are passed as addresses in packet memory (bytes from its start), so that nothing is copied on
 * the way to the kernel. One call may pass a TSO super-packet or a GSO train of datagrams.
 *
 * @module
 */

import type { EndpointWords } from "../protocol/endpoint.ts";
import type { UserspaceEnd } from "../uapi/diagnostics.ts";
import type { Board } from "./lanes/board.ts";
import type { Machine } from "./lanes/policy.ts";
import type { Lane } from "./lanes/lane.ts";
import type { Location } from "../uapi/location.ts";

/** The thread or event loop that an engine runs in, and its clocks. */
export interface Host {
  /** Milliseconds since boot, suspended time included. */
  boot(): number;
  /** Nanoseconds since 1970. */
  wall(): bigint;
  /** Calls the functions of all sources that are ready, once each. */
  dispatch(): void;
  /** Requests a turn at this time, in milliseconds since boot. An earlier requested turn may come too. */
  alarm(at: number): void;
}

/** A host whose thread only serves one engine. */
export interface BlockingHost extends Host {
  /** Finds the sources that are ready. @param block Whether to wait until one is ready or the alarm is due. */
  wait(block: boolean): void;
}

/** An error of the system. `SystemError` of `ffi/linux/` is one. */
export interface Refusal extends Error {
  /** As in errno.h, positive. */
  readonly errno: number;
}

/** Whether an error means that the system refused something. */
export function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && "errno" in error && typeof error.errno === "number";
}

/** Sends and writes the packets of a lane. Addresses are machine addresses, which any thread of the process can use. */
export interface Outlet {
  /** Where the lane's own memory begins. */
  readonly base: number;
  /** The errno that ended trains on the current socket; 0 if it sends trains. The code that handles it sets it to 0. */
  trainsRefused: number;
  /** Sets the socket for the next datagrams. @param trains Whether it sends trains. */
  useSocket(fd: number, family: 4 | 6, trains: boolean): void;
  /** As `DatagramSocket.send`. @returns How many datagrams were refused. */
  send(to: EndpointWords, address: number, length: number, segment: number, tos: number): number;
  /** As `PacketDevice.write`. */
  write(address: number, length: number): number;
  /** Writes one super-packet that consists of parts. @param vectors Address of `count` entries of `struct iovec`. */
  writeVector(vectors: number, count: number, total: number): number;
  /** Memory at an address. */
  map(address: number, length: number): ArrayBuffer;
  /** Wakes the engine. */
  ring(): void;
}

/** The additional threads of an engine, and what decides how many are used. Without them it works alone. */
export interface LaneThreads extends Machine {
  /** The memory that lanes share with the engine. */
  readonly board: Board;
  /** The maximum number of lanes. */
  readonly limit: number;
  /** Whether lanes are only started while processors are idle. */
  readonly considerate: boolean;
  /** Makes the lane that works in the engine's thread. */
  own(): Lane;
  /** Begins a thread, which becomes a lane. The engine gets a turn when it is ready or has failed. */
  start(number: number): void;
  /** The memory of a lane that is ready. */
  memory(number: number): LaneMemory;
  /** Publishes the address of the words of the allowed IPs to the lanes. */
  publish(words: Uint32Array): void;
  /** Waits a little, or until a word of the board changes, because lanes will soon finish something. */
  wait(word: number): void;
  /** Sets whether a descriptor is watched for packets or datagrams. It is watched at first. */
  listen(fd: number, on: boolean): void;
}

/** A lane's memory, seen by the engine. */
export interface LaneMemory {
  readonly bytes: Uint8Array;
  /** The address of its offset 0 in packet memory. The link and the sockets may write to it. */
  readonly origin: number;
}

/** The source and destination of inner packets. A packet always follows a virtio header (`wasm/packet.ts`). */
export interface PacketDevice {
  /** Its descriptor, if other threads can use it as well. */
  readonly fd?: number;
  /** The number of failed reads that lost a packet. */
  readonly readErrors: number;
  /** Writes that failed. */
  readonly writeErrors: number;
  /**
   * Reads one packet or super-packet.
   *
   * @param at Where the virtio header goes; the IP header follows it.
   * @param capacity Bytes free at `at`.
   * @returns Bytes read, header included; 0 when nothing waits.
   */
  read(at: number, capacity: number): number;
  /**
   * Writes one packet or super-packet.
   *
   * @returns 0, or the errno if the packet was lost.
   */
  write(at: number, length: number): number;
  /**
   * Writes one super-packet that lies in parts, the virtio header at the beginning of the first.
   *
   * @param parts A list of `count` parts: offset from `origin` and length, in two 32-bit words each.
   * @returns 0, or the errno if the packet was lost. EINVAL: the device does not take packets that were joined.
   */
  writeParts(origin: number, parts: number, count: number): number;
}

/** The state of a link. */
export interface LinkState {
  readonly up: boolean;
  /** Bytes. */
  readonly mtu: number;
}

/** Events of a link. */
export interface LinkEvents {
  /** Packets wait to be read. */
  readable(): void;
  /** Its state, changed or not. */
  state(state: LinkState): void;
  /** Addresses or routes of this machine have changed. Datagrams may need another source address. */
  routing(): void;
  /** It was deleted. @param reason A text for users. */
  gone(reason: string): void;
}

/** A network interface. */
export interface Link {
  /** Its name now. */
  readonly name: string;
  readonly packets: PacketDevice;
  /** Where it is now; undefined if it was deleted, or is no interface of this machine. */
  readonly location: Location | undefined;
  /** Its end inside this process; absent for an interface of this machine. */
  readonly userspace?: UserspaceEnd;
  /** The protocols of which it accepts joined packets. */
  readonly offloads: { readonly tcp: boolean; readonly udp: boolean };
  /** Reports its state at once, and all events from now on. */
  watch(events: LinkEvents): void;
  /** Removes the interface. */
  close(): void;
}

/** A UDP socket of one address family. */
export interface DatagramSocket {
  readonly family: 4 | 6;
  /** Its descriptor, if other threads can use it as well. */
  readonly fd?: number;
  /** Whether it sends trains in one call. Only used with a descriptor. */
  readonly segmentation?: boolean;
  /** Another thread found that it cannot send trains. @param errno The error. */
  trainsRefused?(errno: number): void;
  /** Set by {@linkcode receive}: the sender, and the local address of the datagram. */
  readonly from: EndpointWords;
  /** Filled by {@linkcode receive}: bytes of each datagram but the last of the train. */
  readonly segment: number;
  /** Filled by {@linkcode receive}: the IP TOS or traffic class. */
  readonly tos: number;
  /** Whether unsent data takes more than half of the send buffer. */
  readonly crowded: boolean;
  /** Receives that failed. */
  readonly errors: number;
  /** Filled by {@linkcode send} when it fails: how many datagrams were refused. */
  readonly refused: number;
  /** How full its buffers are; zeros if the system does not report it. */
  readonly memory: SocketMemory;
  /**
   * Receives one datagram, or a train of them from one sender that the system coalesced (UDP_GRO).
   *
   * @returns Bytes received; 0 when nothing waits.
   */
  receive(at: number, capacity: number): number;
  /**
   * Sends one datagram, or with `segment` a train of them (UDP_SEGMENT).
   *
   * @param to Its source words are cleared when the system no longer accepts them.
   * @param segment Bytes of each datagram but the last; 0 for a single datagram.
   * @returns 0, or the negative errno if datagrams were lost.
   */
  send(to: EndpointWords, at: number, length: number, segment: number, tos: number): number;
}

/** A socket's buffers in bytes. */
export interface SocketMemory {
  readonly received: number;
  readonly receiveBound: number;
  readonly sent: number;
  readonly sendBound: number;
  /** Datagrams that found the receive buffer full. */
  readonly drops: number;
}

/** The sockets of a UDP port. */
export interface BoundSockets {
  /** The port that they are bound to. */
  readonly port: number;
  readonly v4: DatagramSocket;
  /** Null on a machine without IPv6. */
  readonly v6: DatagramSocket | null;
  /** Changes the mark on what is sent; 0 is none. @throws {Refusal} If that is not permitted. */
  setMark(mark: number): void;
  close(): void;
}

/** The result of opening sockets. */
export interface Opening {
  /** They are open. */
  opened(sockets: BoundSockets): void;
  /** The port is in use, or they cannot be opened for another reason. */
  refused(refusal: Refusal): void;
  /** Called from then on when datagrams wait at one of them. */
  readonly readable: (socket: DatagramSocket) => void;
}

/** Opens UDP sockets. */
export interface SocketFactory {
  /**
   * Opens both families on one port.
   *
   * @param port 0 lets the system choose.
   * @param mark On what is sent; 0 for none.
   * @param opening Called with the result, before this call returns or in a later turn.
   */
  open(port: number, mark: number, opening: Opening): void;
}

/** Events of a control socket. */
export interface ControlEvents {
  /** Connections wait to be accepted. */
  waiting(): void;
  /** It was deleted, which ends the interface. */
  deleted(): void;
}

/** A socket through which other programs control the interface. */
export interface ControlSocket {
  /** Reports its events from now on. */
  watch(events: ControlEvents): void;
  /** Sets whether waiting connections are reported. They are at first. */
  listen(on: boolean): void;
  /**
   * Takes the next connection.
   *
   * @returns Null when none waits.
   * @throws {Refusal} If the system has no resources for it. It still waits then.
   */
  accept(): ControlStream | null;
  /** Closes it and removes its file. */
  close(): void;
}

/** What to wait for on a stream. */
export type StreamInterest = "reading" | "writing" | "nothing";

/** A connection to the control socket. It never blocks. */
export interface ControlStream {
  /**
   * Reads into `into`.
   *
   * @returns The number of bytes; 0 at the end of the stream; -1 if nothing waits; -2 if the connection is broken.
   */
  read(into: Uint8Array): number;
  /** @returns The number of bytes that were written; -1 if none can be written now; -2 if the connection is broken. */
  write(bytes: Uint8Array): number;
  /**
   * Calls `ready` when it can be read or written, as set by `wait`. If the connection is broken, `ready` may be called
   * at any time.
   */
  watch(ready: () => void): void;
  /** Sets what to wait for. At first it is nothing. */
  wait(interest: StreamInterest): void;
  close(): void;
}
