/**
 * The one thread where TUN, UDP and control sockets meet the protocol.
 *
 * It blocks in `epoll_wait`. A turn takes a bounded share from every source that is ready, lets the protocol act on
 * what is due, and sleeps again; with nothing due it sleeps for ever.
 *
 * @module
 */

import { Clock } from "../../ffi/linux/clock.ts";
import { ControlSocket } from "../../ffi/linux/control_socket.ts";
import { Epoll } from "../../ffi/linux/epoll.ts";
import { SystemError } from "../../ffi/linux/system_error.ts";
import { closeEventFd, makeEventFd } from "../../ffi/linux/eventfd.ts";
import { EPOLLIN, EPOLLOUT, Errno } from "../../ffi/linux/constants.ts";
import { Netlink } from "../../ffi/linux/netlink.ts";
import { takeShortTurns } from "../../ffi/linux/scheduling.ts";
import { TimerFd } from "../../ffi/linux/timerfd.ts";
import { Tun } from "../../ffi/linux/tun.ts";
import type { UdpPair } from "../../ffi/linux/udp.ts";
import type { UnixStream } from "../../ffi/linux/unix_socket.ts";
import { JOIN_TCP, JOIN_UDP, Wasm } from "../../wasm/mod.ts";
import type { Feature } from "../config/features.ts";
import type { Milliseconds, Now } from "../protocol/clock.ts";
import { Device } from "../protocol/device.ts";
import type { Log } from "../log.ts";
import type { Diagnostics } from "../uapi/diagnostics.ts";
import type { Location } from "../uapi/location.ts";
import { socketPath } from "../uapi/socket_path.ts";
import { ControlServer } from "./control/server.ts";
import { readDiagnostics } from "./diagnostics.ts";
import { Features } from "./features.ts";
import { Handshakes } from "./handshakes.ts";
import { socketReadable } from "./inbound.ts";
import { probeJoining } from "./joining.ts";
import { flush, tunReadable } from "./outbound.ts";
import { PacketMemory } from "./packet_memory.ts";
import { DEFAULT_MTU, PacketPath } from "./path.ts";
import { Connection } from "./control/connection.ts";
import { UdpPort } from "./udp_port.ts";

/** Programs at the control socket at once; more wait in its backlog. */
const MAX_CONNECTIONS = 64;
/** Milliseconds until the next attempt to accept a connection, after the system had no room for one. */
const ACCEPT_PAUSE = 1_000;
const READ_BUFFER = 65_536;
/** Nanoseconds of processor time asked for at a time, the least there is: what V8 compiles meanwhile can wait. */
const TURN = 100_000n;

/** Told that the name of a peer's endpoint is to be looked up; the answer comes over the control socket. */
export type Lookup = (publicKey: Uint8Array, name: string) => void;

/** The clocks at this turn; the wall clock is only read when a handshake asks for it. */
class Moment implements Now {
  boot = 0 as Milliseconds;

  constructor(readonly clock: Clock) {}

  get wall(): bigint {
    return this.clock.wall();
  }

  renew(): void {
    this.boot = this.clock.boot() as Milliseconds;
  }
}

/** What an engine holds of the system. Whoever gives these to an engine closes them too. */
interface Parts {
  readonly memory: PacketMemory;
  readonly epoll: Epoll;
  readonly timer: TimerFd;
  readonly stopFd: number;
  readonly tun: Tun;
  readonly links: Netlink;
  readonly control: ControlSocket;
}

/** A running interface. */
export class Engine {
  /** Ringing this eventfd, from any thread, ends `run`. */
  readonly stopFd: number;
  readonly device: Device;
  readonly path: PacketPath;
  readonly tun: Tun;
  readonly links: Netlink;
  readonly control: ControlSocket;
  readonly #memory: PacketMemory;
  readonly #epoll: Epoll;
  readonly #timer: TimerFd;
  /** Everything to be undone at the end, the newest first. */
  #owned = new DisposableStack();
  readonly #now: Moment;
  readonly #handshakes: Handshakes;
  readonly #port: UdpPort;
  readonly #server: ControlServer;
  /** Where the interface is, if it was moved out of our network namespace. */
  #movedLinks: Netlink | null = null;
  #index = 0;
  readonly #connections = new Set<UnixStream>();
  /** When to try `accept` again: milliseconds on the boot clock. */
  #acceptAgainAt = Infinity;
  /** Connections whose request is being worked on, to be gone on with in each turn. */
  readonly #working = new Set<() => void>();
  readonly #readBuffer = new Uint8Array(READ_BUFFER);
  /** What to do when a descriptor is ready. */
  readonly #handlers = new Map<number, (events: number) => void>();
  #timerSetTo = Infinity;
  #stopReason: string | null = null;

  private constructor(
    { memory, epoll, timer, stopFd, tun, links, control }: Parts,
    wasm: Wasm,
    readonly features: Features,
    readonly log: Log,
    lookup: Lookup,
    made: DisposableStack,
  ) {
    this.#memory = memory;
    this.#now = new Moment(new Clock(memory));
    this.#epoll = epoll;
    this.#timer = timer;
    this.stopFd = stopFd;
    this.tun = tun;
    this.links = links;
    this.control = control;
    this.device = new Device({
      crypto: wasm,
      keypairs: wasm,
      random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
    });
    const { tcp, udp } = tun.offloads;
    this.path = new PacketPath(
      this.device,
      wasm,
      tun,
      features,
      (tcp ? JOIN_TCP : 0) | (udp ? JOIN_UDP : 0),
    );
    probeJoining(this.path);
    // Those of the probe were meant to fail.
    tun.writeErrors = 0;
    this.path.lookup = ({ publicKey }, name) => lookup(publicKey, name);
    this.#handshakes = new Handshakes(this.path);
    this.#port = new UdpPort(memory, features, {
      replaced: (pair, old) => this.#socketsReplaced(pair, old),
      changed: () => this.device.forgetSources(),
    });
    this.#server = new ControlServer({
      device: this.device,
      settings: this.#port,
      diagnostics: () => this.#diagnostics(),
      location: () => this.#location(),
      now: this.#now,
    });
    made.defer(() => this.#movedLinks?.close());
    made.defer(() => this.#erase());
    this.#on(this.stopFd, () => this.#stop("stopped"));
    this.#on(this.#timer.fd, () => {
      this.#timer.acknowledge();
      this.#timerSetTo = Infinity;
    });
    this.#on(links.fd, () => this.#networkChanged(links));
    this.#on(control.watch.fd, () => this.#fileDeleted());
    this.#on(control.listener.fd, () => this.#accept());
    this.#on(tun.fd, () => this.#tunReadable());
  }

  /**
   * Makes the interface and its control socket. The interface is down and has no keys.
   *
   * @param name 1 to 15 bytes.
   * @param disabled Features to do without.
   * @throws {SystemError} If anything is missing or taken; then nothing is left behind.
   */
  static open(name: string, disabled: readonly Feature[], log: Log, lookup: Lookup): Engine {
    const features = new Features(disabled, (message) => log("error", `interface ${name}: ${message}`));
    const wasm = features.wanted("wide") ? new Wasm() : new Wasm("plain");
    if (wasm.build === "plain") features.lack("wide", "V8 did not take it, or it computed something wrong");
    const memory = new PacketMemory(wasm.memory);
    using made = new DisposableStack();
    const closing = <T extends { close(): void }>(part: T) => made.adopt(part, (part) => part.close());
    // Before there is an interface, so that nothing that befalls it is missed.
    const links = closing(new Netlink(memory));
    const tun = closing(
      Tun.open(memory, name, { tcp: features.wanted("tun-tcp"), udp: features.wanted("tun-udp") }),
    );
    const { header, tcp, udp } = tun.offloads;
    const lacking = header ? "the kernel refused it (TUNSETOFFLOAD)" : "the kernel has no IFF_VNET_HDR";
    if (!tcp) features.lack("tun-tcp", lacking);
    if (!udp) features.lack("tun-udp", lacking);
    quietInterface(name);
    const parts = {
      memory,
      tun,
      links,
      control: closing(ControlSocket.open(socketPath(name))),
      epoll: closing(new Epoll(memory)),
      timer: closing(new TimerFd(memory)),
      stopFd: made.adopt(makeEventFd(), closeEventFd),
    };
    const engine = new Engine(parts, wasm, features, log, lookup, made);
    engine.#there(() => tun.mtu = DEFAULT_MTU);
    engine.#owned = made.move();
    return engine;
  }

  /** Serves the interface until it is stopped or taken away. @returns Why it ended. */
  run(): string {
    using _owned = this.#owned;
    this.log("info", `interface ${this.tun.name}: ${this.#features()}`);
    takeShortTurns(TURN);
    this.#now.renew();
    this.#unlessDeleted(() => this.#look());
    const time = () => this.#now.clock.boot();
    let more = false;
    while (this.#stopReason === null) {
      const ready = this.#epoll.wait(more ? 0 : -1);
      this.#now.renew();
      for (let i = 0; i < ready; i++) {
        this.#handlers.get(this.#epoll.readyFd(i))?.(this.#epoll.readyEvents(i));
      }
      for (const step of this.#working) step();
      more = this.#handshakes.turn(this.#now, time) || this.#working.size > 0;
      if (this.device.nextDeadline() <= this.#now.boot) this.device.handleTimeout(this.#now);
      flush(this.path, this.#now);
      if (this.#acceptAgainAt <= this.#now.boot) this.#acceptAgain();
      more = this.#setTimer() || more;
    }
    return this.#stopReason;
  }

  /** Sets the alarm for the next deadline. @returns Whether one is due already. */
  #setTimer(): boolean {
    const deadline = Math.min(this.device.nextDeadline(), this.#acceptAgainAt);
    if (deadline <= this.#now.boot) return true;
    // An alarm that comes too early is a turn that finds nothing to do; setting it later each time costs more.
    if (deadline < this.#timerSetTo) {
      this.#timer.set(deadline);
      this.#timerSetTo = deadline;
    }
    return false;
  }

  #on(fd: number, handler: (events: number) => void): void {
    this.#handlers.set(fd, handler);
    this.#epoll.add(fd, EPOLLIN);
  }

  #off(fd: number): void {
    this.#epoll.remove(fd);
    this.#handlers.delete(fd);
  }

  #stop(reason: string): void {
    this.#stopReason ??= reason;
  }

  #tunReadable(): void {
    try {
      tunReadable(this.path, this.#now);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#stop(`the interface ${this.tun.name} was deleted`);
    }
  }

  #socketsReplaced(pair: UdpPair | null, old: UdpPair | null): void {
    for (const socket of [old?.v4, old?.v6]) if (socket) this.#off(socket.fd);
    for (const socket of [pair?.v4, pair?.v6]) {
      if (socket) this.#on(socket.fd, () => socketReadable(this.path, socket, this.#handshakes, this.#now));
    }
    this.path.sockets.v4 = pair?.v4 ?? null;
    this.path.sockets.v6 = pair?.v6 ?? null;
  }

  #up(): void {
    try {
      this.#port.open();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.log("error", `interface ${this.tun.name} cannot be used: ${error.message}`);
      return;
    }
    this.log("info", `interface ${this.tun.name} is up, UDP port ${this.#port.listenPort}`);
    this.device.up(this.#now);
  }

  #down(): void {
    if (this.#port.pair === null) return;
    this.device.down();
    this.#port.close();
    this.log("info", `interface ${this.tun.name} is down`);
  }

  #networkChanged(links: Netlink): void {
    for (const event of links.events()) {
      if (event.kind === "routing") {
        this.device.forgetSources();
      } else if (event.index !== this.#index || this.#whereItIs !== links) {
        continue;
      } else if (event.kind === "gone") {
        this.#follow();
        return;
      } else {
        if (event.mtu !== undefined) this.path.mtu = event.mtu;
        if (event.up) this.#up();
        else this.#down();
      }
    }
  }

  /** The interface left the namespace we watch: it was moved to another one or deleted. */
  #follow(): void {
    this.#unlessDeleted(() => {
      this.#enter();
      this.#look();
    });
  }

  /** Does something with the interface. What fails, fails because somebody has deleted it, and that is the end. */
  #unlessDeleted(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#stop(`the interface ${this.tun.name} was deleted`);
    }
  }

  /** Watches the interface in the namespace where it is now. @throws {SystemError} If it was deleted. */
  #enter(): void {
    const links = this.tun.follow(() => {
      quietInterface(this.tun.name);
      return new Netlink(this.#memory);
    });
    if (this.#movedLinks !== null) {
      this.#off(this.#movedLinks.fd);
      this.#movedLinks.close();
    }
    this.#movedLinks = links;
    this.#on(links.fd, () => this.#networkChanged(links));
  }

  /** Asks the kernel for something about the interface; whoever sees it may have moved it a moment ago. */
  #there<T>(ask: () => T): T {
    for (;;) {
      try {
        return ask();
      } catch (error) {
        if (!(error instanceof SystemError) || error.errno !== Errno.ENODEV) throw error;
        this.#enter();
      }
    }
  }

  /** Takes over what the interface is like, instead of what the news until now said. @throws {SystemError} As above. */
  #look(): void {
    const { tun } = this;
    const { index, mtu, up } = this.#there(() => {
      // Should there be more of it than one call reads, the last of it will say what is true now.
      for (const { kind } of this.#whereItIs.events()) if (kind === "routing") this.device.forgetSources();
      return { index: tun.index, mtu: tun.mtu, up: tun.up };
    });
    this.#index = index;
    this.path.mtu = mtu;
    if (up) this.#up();
    else this.#down();
  }

  get #whereItIs(): Netlink {
    return this.#movedLinks ?? this.links;
  }

  #fileDeleted(): void {
    if (this.control.fileDeleted()) this.#stop("the control socket was deleted");
  }

  #accept(): void {
    while (this.#connections.size < MAX_CONNECTIONS) {
      let stream: UnixStream | null;
      try {
        stream = this.control.accept();
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        this.#acceptLater(error);
        return;
      }
      if (stream === null) return;
      const connection = new Connection(stream, (request) => this.#server.respond(request));
      this.#connections.add(stream);
      let watching = EPOLLIN;
      const step = () => {
        connection.serve(this.#readBuffer);
        const { state } = connection;
        if (state === "working") this.#working.add(step);
        else this.#working.delete(step);
        if (state === "over") {
          this.#off(stream.fd);
          stream.close();
          this.#connections.delete(stream);
          // Those that wait in the backlog may come in now.
          this.#acceptAgain();
          return;
        }
        // Errors and hang-ups are reported in any case.
        const wanted = state === "working" ? 0 : state === "sending" ? EPOLLOUT : EPOLLIN;
        if (wanted === watching) return;
        watching = wanted;
        this.#epoll.modify(stream.fd, wanted);
      };
      const serve = () => {
        // One that is working has its step in every turn.
        if (connection.state !== "working") step();
      };
      this.#on(stream.fd, serve);
    }
    this.#epoll.modify(this.control.listener.fd, 0);
  }

  /** Leaves connections in the backlog for a while: the listener stays readable, and nothing here can help it. */
  #acceptLater(error: SystemError): void {
    if (this.#acceptAgainAt === Infinity) this.log("error", `interface ${this.tun.name}: ${error.message}`);
    this.#acceptAgainAt = this.#now.boot + ACCEPT_PAUSE;
    this.#epoll.modify(this.control.listener.fd, 0);
  }

  #acceptAgain(): void {
    this.#acceptAgainAt = Infinity;
    this.#epoll.modify(this.control.listener.fd, EPOLLIN);
  }

  /** Where the interface is; undefined if somebody has deleted it. */
  #location(): Location | undefined {
    try {
      return this.#there(() => this.tun.location);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return undefined;
    }
  }

  #diagnostics(): Diagnostics {
    return readDiagnostics({
      path: this.path,
      tun: this.tun,
      port: this.#port,
      handshakes: this.#handshakes,
      connections: this.#connections.size,
      maxConnections: MAX_CONNECTIONS,
    });
  }

  #features(): string {
    const on = this.features.states().filter((state) => state.on).map((state) => state.feature);
    return on.length > 0 ? on.join(", ") : "no offloads";
  }

  /** Hangs up, takes the interface down and erases its keys. */
  #erase(): void {
    for (const stream of this.#connections) stream.close();
    this.#down();
    this.#handshakes.clear();
    this.device.close(this.#now);
  }
}

/**
 * Keeps the kernel from talking into the tunnel by itself: no link-local address and router solicitations, no
 * redirects (the kernel's device.c, wg_open and wg_setup).
 */
function quietInterface(name: string): void {
  for (
    const [file, value] of [
      [`ipv6/conf/${name}/addr_gen_mode`, "1"],
      [`ipv4/conf/${name}/send_redirects`, "0"],
      ["ipv4/conf/all/send_redirects", "0"],
    ] as const
  ) {
    try {
      Deno.writeTextFileSync(`/proc/sys/net/${file}`, value);
    } catch {
      // Without IPv6, or in a container with a read-only /proc, there is nothing to quiet or no way to.
    }
  }
}
