/**
 * What an engine needs of the world, and all it knows of it: a host, a link, sockets, and the control socket.
 *
 * On Linux `ffi/linux/` has what fits: an epoll loop in a thread of its own, a TUN device, UDP and Unix sockets. A
 * TCP/IP stack in userspace is another link. A program with an event loop is another host: it gives the engine a turn
 * (`Engine.turn`) whenever something is ready, and may have many engines. Tests make all of it in memory.
 *
 * A source (a link, a socket, the control socket, a stream) is given a function to call when it is ready. The host calls
 * these functions in `Host.dispatch`, inside a turn, and nobody calls them elsewhere. They are level-triggered: a source
 * that still has something after its function has run is called again in the next turn, which the host gives at once.
 *
 * Packets and datagrams are passed by addresses in packet memory (bytes from its start), so that nothing is copied on
 * the way to the kernel. One call may carry a TSO super-packet or a GSO train of datagrams.
 *
 * @module
 */

import type { EndpointWords } from "../protocol/endpoint.ts";
import type { UserspaceEnd } from "../uapi/diagnostics.ts";
import type { Board } from "./lanes/board.ts";
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
  /** Asks for a turn at this time, in milliseconds since boot. An earlier one that was asked for may come as well. */
  alarm(at: number): void;
}

/** A host whose thread has nothing else to do than to serve one engine. */
export interface BlockingHost extends Host {
  /** Finds out which sources are ready. @param block Waits until there is one, or the alarm is due. */
  wait(block: boolean): void;
}

/** An error of the system. `SystemError` of `ffi/linux/` is one. */
export interface Refusal extends Error {
  /** As in errno.h, positive. */
  readonly errno: number;
}

/** Whether something was thrown by a door because the system refused it. */
export function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && "errno" in error && typeof error.errno === "number";
}

/** What a lane does with packets. Addresses are the machine's, and any thread of the process may use them. */
export interface Outlet {
  /** Where the lane's own memory begins. */
  readonly base: number;
  /** Why the socket in use sends no more trains, an errno; 0 if it does. Whoever takes note sets it to 0. */
  trainsRefused: number;
  /** Says through which socket the next datagrams leave. @param trains Whether it sends trains. */
  useSocket(fd: number, family: 4 | 6, trains: boolean): void;
  /** As `DatagramSocket.send`. @returns How many datagrams were refused. */
  send(to: EndpointWords, address: number, length: number, segment: number, tos: number): number;
  /** As `PacketDevice.write`. */
  write(address: number, length: number): number;
  /** Writes one super-packet that lies in parts. @param vectors Address of `count` entries of `struct iovec`. */
  writeVector(vectors: number, count: number, total: number): number;
  /** Memory at an address. */
  map(address: number, length: number): ArrayBuffer;
  /** Wakes the engine. */
  ring(): void;
}

/** The threads that an engine may have besides its own. Where there are none, it works alone. */
export interface LaneThreads {
  /** What lanes share with the engine. */
  readonly board: Board;
  /** Most lanes to start. */
  readonly limit: number;
  /** Whether lanes are only started while there are processors with nothing to do. */
  readonly considerate: boolean;
  /** Makes the lane that works in the engine's thread. */
  own(): Lane;
  /** Begins a thread, which becomes a lane. When it is ready, or has failed, the engine is given a turn. */
  start(number: number): void;
  /** The memory of a lane that is ready. */
  memory(number: number): LaneMemory;
  /** Tells the lanes where the words of the allowed IPs are. */
  publish(words: Uint32Array): void;
  /** Waits a little, or until a word of the board changes: lanes are about to finish something. */
  wait(word: number): void;
  /** Processors that had nothing to do since this was last asked, as a number of whole ones. */
  idleProcessors(): number;
  /** Says whether the engine is told that packets or datagrams wait at a descriptor; at first it is. */
  listen(fd: number, on: boolean): void;
}

/** A lane's memory, seen by the engine. */
export interface LaneMemory {
  readonly bytes: Uint8Array;
  /** Its offset 0, as an address of packet memory: the link and the sockets may write to it. */
  readonly origin: number;
}

/** Where inner packets come from and go to. A packet always follows a virtio header (`wasm/packet.ts`). */
export interface PacketDevice {
  /** Its descriptor, if other threads can use one as well. */
  readonly fd?: number;
  /** Reads that failed in a way that cost a packet. */
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
   * @returns 0, or the errno that cost this packet.
   */
  write(at: number, length: number): number;
  /**
   * Writes one super-packet that lies in parts, the virtio header at the beginning of the first.
   *
   * @param parts A list of `count` parts: offset from `origin` and length, in two 32-bit words each.
   * @returns 0, or the errno that cost this packet. EINVAL: the device does not take packets that were joined.
   */
  writeParts(origin: number, parts: number, count: number): number;
}

/** What is true of a link now. */
export interface LinkState {
  readonly up: boolean;
  /** Bytes. */
  readonly mtu: number;
}

/** What a link tells its engine. */
export interface LinkEvents {
  /** Packets wait to be read. */
  readable(): void;
  /** Its state, changed or not. */
  state(state: LinkState): void;
  /** Addresses or routes of this machine changed: datagrams may have to leave from another address. */
  routing(): void;
  /** It is gone. @param reason For people. */
  gone(reason: string): void;
}

/** A network interface. */
export interface Link {
  /** Its name now. */
  readonly name: string;
  readonly packets: PacketDevice;
  /** Where it is now; undefined if it was deleted, or is no interface of this machine. */
  readonly location: Location | undefined;
  /** Its end inside this process; absent of an interface of this machine. */
  readonly userspace?: UserspaceEnd;
  /** Of which protocols it takes packets that were joined. */
  readonly offloads: { readonly tcp: boolean; readonly udp: boolean };
  /** Tells of its state, at once, and of all that happens to it from now on. */
  watch(events: LinkEvents): void;
  /** Removes the interface. */
  close(): void;
}

/** A UDP socket of one address family. */
export interface DatagramSocket {
  readonly family: 4 | 6;
  /** Its descriptor, if other threads can use one as well. */
  readonly fd?: number;
  /** Whether it sends trains in one call. Only of interest where there is a descriptor. */
  readonly segmentation?: boolean;
  /** Another thread found that it cannot send trains. @param errno Why. */
  trainsRefused?(errno: number): void;
  /** Filled by {@linkcode receive}: the sender, and which of our own addresses it wrote to. */
  readonly from: EndpointWords;
  /** Filled by {@linkcode receive}: bytes of each datagram but the last of the train. */
  readonly segment: number;
  /** Filled by {@linkcode receive}: the IP TOS or traffic class. */
  readonly tos: number;
  /** Whether what waits to leave takes more than half of the room for it. */
  readonly crowded: boolean;
  /** Receives that failed. */
  readonly errors: number;
  /** Filled by {@linkcode send} when it fails: how many datagrams were refused. */
  readonly refused: number;
  /** How full its buffers are; zeros where the system does not tell. */
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
   * @returns 0, or the negative errno that cost datagrams.
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

/** What becomes of an attempt to open sockets. */
export interface Opening {
  /** They are open. */
  opened(sockets: BoundSockets): void;
  /** The port is taken, or they cannot be had for another reason. */
  refused(refusal: Refusal): void;
  /** From then on: datagrams wait at one of them. */
  readonly readable: (socket: DatagramSocket) => void;
}

/** Opens UDP sockets. */
export interface SocketFactory {
  /**
   * Opens both families on one port.
   *
   * @param port 0 lets the system choose.
   * @param mark On what is sent; 0 for none.
   * @param opening Told of the end: before this call returns, or in a later turn where the system takes its time.
   */
  open(port: number, mark: number, opening: Opening): void;
}

/** What a control socket tells its engine. */
export interface ControlEvents {
  /** Connections wait to be accepted. */
  waiting(): void;
  /** Somebody has deleted it, which is a way to end the interface. */
  deleted(): void;
}

/** Where programs connect that control the interface. */
export interface ControlSocket {
  /** Tells of what happens to it from now on. */
  watch(events: ControlEvents): void;
  /** Whether to tell of connections that wait; at first it does. */
  listen(on: boolean): void;
  /**
   * Takes the next connection.
   *
   * @returns Null when none waits.
   * @throws {Refusal} If there is no room for it now; it still waits then.
   */
  accept(): ControlStream | null;
  /** Ends it, and removes its name. */
  close(): void;
}

/** What a stream may be waited for. */
export type StreamInterest = "reading" | "writing" | "nothing";

/** A connection to the control socket; it never blocks. */
export interface ControlStream {
  /** Reads into `into`. @returns Bytes; 0 at the end of the stream; -1 when nothing waits; -2 when it broke. */
  read(into: Uint8Array): number;
  /** @returns Bytes taken; -1 when it takes none now; -2 when it broke. */
  write(bytes: Uint8Array): number;
  /** Calls `ready` when it can be read or written, as `wait` says, and perhaps at any time when it broke. */
  watch(ready: () => void): void;
  /** Says what it is waited for; at first for nothing. */
  wait(interest: StreamInterest): void;
  close(): void;
}
