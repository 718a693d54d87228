/**
 * Connects packets, datagrams and requests with the protocol. An engine works in turns. A turn takes a bounded amount
 * from every source that is ready, continues handshakes, lets the protocol act on timers, and sends the results. The
 * engine does nothing between two turns. Its host calls `turn` when a source is ready or an alarm is due, and at once
 * if the last turn returned that there is more to do.
 *
 * @module
 */

import { JOIN_TCP, JOIN_UDP } from "../../wasm/instance.ts";
import type { Wasm } from "../../wasm/mod.ts";
import type { InterfaceIndex } from "../config/endpoint.ts";
import type { Log } from "../log.ts";
import type { Milliseconds, Now } from "../protocol/clock.ts";
import { Device } from "../protocol/device.ts";
import type { Diagnostics } from "../uapi/diagnostics.ts";
import { Connections } from "./control/connections.ts";
import { ControlServer } from "./control/server.ts";
import { readDiagnostics } from "./diagnostics.ts";
import type {
  BoundSockets,
  ControlSocket,
  Host,
  LaneThreads,
  Link,
  LinkState,
  SocketFactory,
} from "./doors.ts";
import type { Features } from "./features.ts";
import { Handshakes } from "./handshakes.ts";
import { socketReadable } from "./inbound.ts";
import { LanePath } from "./lanes/lane_path.ts";
import { Lanes } from "./lanes/lanes.ts";
import { SharedTrieWords } from "./lanes/shared_trie_words.ts";
import { flush, tunReadable } from "./outbound.ts";
import { PacketPath } from "./path.ts";
import { UdpPort } from "./udp_port.ts";

/** Called to look up the name of a peer's endpoint. The result comes over the control socket. */
export type Lookup = (publicKey: Uint8Array, name: string) => void;

/** The parts of an engine. The engine takes ownership of the link, the sockets and the control socket. */
export interface EngineParts {
  readonly host: Host;
  readonly link: Link;
  readonly sockets: SocketFactory;
  /** Null for an interface without a control socket. */
  readonly control: ControlSocket | null;
  /** The link and the sockets read and write packets in its memory. */
  readonly wasm: Wasm;
  readonly features: Features;
  /** Threads that encrypt and decrypt packets. By default the engine does all of it. */
  readonly lanes?: LaneThreads | null;
  /** Resolves scopes of link-local endpoints. */
  readonly interfaceIndex: InterfaceIndex;
  readonly log: Log;
  readonly lookup: Lookup;
}

/** The time of this turn. The wall clock is only read when a handshake needs it. */
class Moment implements Now {
  boot = 0 as Milliseconds;

  constructor(readonly host: Host) {}

  get wall(): bigint {
    return this.host.wall();
  }

  renew(): void {
    this.boot = this.host.boot() as Milliseconds;
  }
}

/** A running interface. */
export class Engine {
  readonly device: Device;
  readonly path: PacketPath;
  /** Answers requests like the control socket, for the program that runs the engine. */
  readonly control: ControlServer;
  readonly #host: Host;
  readonly #link: Link;
  readonly #log: Log;
  readonly #now: Moment;
  readonly #time: () => number;
  readonly #handshakes: Handshakes;
  readonly #port: UdpPort;
  readonly #connections: Connections | null;
  #ended: string | null = null;
  #closed = false;

  /** Makes an engine; nothing happens before {@linkcode start}. */
  constructor(parts: EngineParts) {
    const { host, link, wasm, features } = parts;
    const threads = parts.lanes ?? null;
    this.#host = host;
    this.#link = link;
    this.#log = parts.log;
    this.#now = new Moment(host);
    this.#time = () => host.boot();
    const lanes = threads && new Lanes(threads, wasm, () => this.#laneFailed());
    this.device = new Device({
      crypto: wasm,
      keypairs: lanes ?? wasm,
      random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
      ...lanes && { trieMemory: new SharedTrieWords(lanes) },
    });
    const { tcp, udp } = link.offloads;
    const join = (tcp ? JOIN_TCP : 0) | (udp ? JOIN_UDP : 0);
    this.path = new PacketPath(this.device, wasm, link.packets, features, join);
    this.path.lookup = ({ publicKey }, name) => parts.lookup(publicKey, name);
    if (lanes) this.path.lanes = new LanePath(this.path, lanes, this.#now);
    this.#handshakes = new Handshakes(this.path);
    this.#port = new UdpPort(parts.sockets, {
      opened: () => this.#opened(),
      refused: ({ message }) => parts.log("error", `interface ${link.name} cannot be used: ${message}`),
      replaced: (sockets) => this.#replaceSockets(sockets),
      changed: () => this.device.forgetSources(),
      readable: (socket) => socketReadable(this.path, socket, this.#handshakes, this.#now),
    });
    this.control = new ControlServer({
      device: this.device,
      settings: this.#port,
      diagnostics: () => this.#diagnostics(),
      location: () => link.location,
      interfaceIndex: parts.interfaceIndex,
      now: this.#now,
    });
    this.#connections = parts.control && new Connections(
      parts.control,
      (request) => this.control.respond(request),
      this.#now,
      (message) => parts.log("error", `interface ${link.name}: ${message}`),
    );
  }

  /** Why it ended; null while it runs. */
  get ended(): string | null {
    return this.#ended;
  }

  /** Reads the state of the link and serves all sources from now on. If this throws, the engine has closed. */
  start(): void {
    const on = this.path.features.states().filter((state) => state.on).map(({ feature }) => feature);
    this.#log("info", `interface ${this.#link.name}: ${on.length > 0 ? on.join(", ") : "no offloads"}`);
    try {
      this.#now.renew();
      this.#connections?.watch(() => this.stop("the control socket was deleted"));
      this.#link.watch({
        readable: () => tunReadable(this.path, this.#now),
        state: (state) => this.#linkState(state),
        routing: () => this.device.forgetSources(),
        gone: (reason) => this.stop(reason),
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Runs one turn. If the engine was stopped, or if this throws, it has closed.
   *
   * @returns Whether there is more to do. Then another turn must follow at once.
   */
  turn(): boolean {
    if (this.#closed) return false;
    try {
      const more = this.#ended === null && this.#turn();
      if (this.#ended === null) return more;
    } catch (error) {
      this.#fail(error);
    }
    this.close();
    return false;
  }

  /** Begins handshakes with the peers that have an endpoint, so that sessions exist before packets are sent. */
  greet(): void {
    this.#now.renew();
    for (const peer of this.device.peers) this.device.sessions.sendInitiation(peer, false, this.#now);
  }

  /** Ends it with the current turn, or else with the next one. The first reason counts. */
  stop(reason: string): void {
    this.#ended ??= reason;
  }

  /** Closes everything at once and erases the keys. If one part fails to close, the others are closed anyway. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended ??= "closed";
    // Runs in reverse order.
    using ending = new DisposableStack();
    ending.defer(() => this.#connections?.close());
    ending.defer(() => this.#link.close());
    ending.defer(() => this.device.close(this.#now));
    ending.defer(() => this.#handshakes.clear());
    ending.defer(() => this.#down());
    ending.defer(() => this.path.lanes?.lanes.stop());
  }

  #turn(): boolean {
    const { device } = this;
    const now = this.#now;
    now.renew();
    const { lanes } = this.path;
    lanes?.lanes.turn();
    this.#host.dispatch();
    const requests = this.#connections?.turn() ?? false;
    this.#handshakes.turn(now, this.#time);
    if (device.nextDeadline() <= now.boot) device.handleTimeout(now);
    flush(this.path, now);
    const look = lanes?.turnEnds(now, this.#time) ?? Infinity;
    const deadline = Math.min(device.nextDeadline(), this.#connections?.nextDeadline ?? Infinity, look);
    if (deadline <= now.boot) return true;
    this.#host.alarm(deadline);
    // A timer may have begun an initiation.
    return requests || this.#handshakes.canGoOn;
  }

  /** Closes and throws what went wrong, together with what goes wrong now. */
  #fail(error: unknown): never {
    using closing = new DisposableStack();
    closing.defer(() => this.close());
    throw error;
  }

  #diagnostics(): Diagnostics {
    return readDiagnostics({
      path: this.path,
      port: this.#port,
      handshakes: this.#handshakes,
      connections: this.#connections,
      userspace: this.#link.userspace,
    });
  }

  #linkState({ up, mtu }: LinkState): void {
    this.path.mtu = mtu;
    if (up) this.#port.open();
    else this.#down();
  }

  #laneFailed(): void {
    this.#log(
      "error",
      `interface ${this.#link.name}: a lane failed; one thread encrypts and decrypts packets now`,
    );
  }

  #replaceSockets(sockets: BoundSockets | null): void {
    const { lanes, sockets: old } = this.path;
    // From now on nothing is sent through the old sockets.
    lanes?.lanes.rest();
    for (const socket of [old.v4, old.v6]) {
      if (socket?.fd !== undefined) lanes?.lanes.forgetDescriptor(socket.fd);
    }
    this.path.sockets.v4 = sockets?.v4 ?? null;
    this.path.sockets.v6 = sockets?.v6 ?? null;
  }

  #opened(): void {
    this.#log("info", `interface ${this.#link.name} is up, UDP port ${this.#port.listenPort}`);
    this.device.up(this.#now);
  }

  #down(): void {
    const wasUp = this.#port.sockets !== null;
    if (wasUp) this.device.down();
    this.#port.close();
    if (wasUp) this.#log("info", `interface ${this.#link.name} is down`);
  }
}
