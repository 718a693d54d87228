/**
 * An engine on Linux, in a thread of its own: TUN device, UDP sockets and control socket behind one epoll instance.
 *
 * @module
 */

import { MovingArena } from "../../ffi/linux/arena.ts";
import { ControlLine } from "../../ffi/linux/control_line.ts";
import { ControlSocket } from "../../ffi/linux/control_socket.ts";
import { EnclosedTun } from "../../ffi/linux/enclosed_tun.ts";
import { closeEventFd, makeEventFd } from "../../ffi/linux/eventfd.ts";
import { LinuxHost } from "../../ffi/linux/host.ts";
import { takeShortTurns, TIME_SLICE } from "../../ffi/linux/scheduling.ts";
import { TunLink } from "../../ffi/linux/tun_link.ts";
import { Wasm } from "../../wasm/mod.ts";
import { interfaceIndex } from "../client/system.ts";
import type { Feature } from "../config/features.ts";
import type { LaneCount } from "../config/lanes.ts";
import { Engine, type Lookup } from "../engine/engine.ts";
import { Features } from "../engine/features.ts";
import { probeJoining } from "../engine/joining.ts";
import { DEFAULT_MTU } from "../engine/path.ts";
import type { Log } from "../log.ts";
import { socketPath } from "../uapi/socket_path.ts";
import type { LaneStart } from "./lane_start.ts";
import { LinuxLanes } from "./linux_lanes.ts";
import { LinuxSockets, type SocketWatcher } from "./linux_sockets.ts";
import { rehearse } from "./rehearsal.ts";

/** Options of an interface. */
export interface LinuxEngineOptions {
  /** 1 to 15 bytes. */
  readonly name: string;
  /** Features to turn off. */
  readonly disable: readonly Feature[];
  readonly log: Log;
  readonly lookup: Lookup;
  /** How many lanes it may have; by default none. */
  readonly lanes?: LaneCount;
  /** Makes the main thread start a lane. */
  readonly beginLane?: (start: LaneStart) => void;
  /** Where its control socket is; by default where `wg` looks for it. */
  readonly socketPath?: string;
  /** For an interface in another network namespace, which is controlled over a connection instead of a socket. */
  readonly enclosure?: Enclosure;
}

/** What an interface in another namespace is made from. The engine takes ownership of all of it. */
export interface Enclosure {
  /** /dev/net/tun, opened in that namespace. */
  readonly tun: number;
  /** Of the interface, in bytes. */
  readonly mtu: number;
  /** The answering end of a connection (`ffi/linux/control_line.ts`). */
  readonly control: number;
  /** The path of a control socket for other programs, if there is a folder for it. */
  readonly socketPath: string | undefined;
}

/** An interface of this machine and the engine that runs it. */
export class LinuxEngine {
  private constructor(
    readonly engine: Engine,
    readonly host: LinuxHost,
    /** Writing to this eventfd, from any thread, ends `run`. */
    readonly stopFd: number,
    readonly lanes: LinuxLanes | null,
    /** Its steps run while the engine is idle. */
    readonly rehearsal: Generator<void, void>,
  ) {}

  /**
   * Makes the interface and its control socket. The interface is down and has no keys.
   *
   * @throws {SystemError} If something is missing or in use. Nothing is left behind then.
   */
  static open(options: LinuxEngineOptions): LinuxEngine {
    const { name, disable, log, lookup, enclosure } = options;
    const features = new Features(disable, (message) => log("error", `interface ${name}: ${message}`));
    const wasm = features.wanted("wide") ? new Wasm() : new Wasm("plain");
    if (wasm.build === "plain") features.lack("wide", "V8 refused it, or it computed a wrong result");
    const arena = new MovingArena(wasm.memory);

    using made = new DisposableStack();
    const closing = <Part extends { close(): void }>(part: Part) => made.adopt(part, (part) => part.close());
    const host = closing(new LinuxHost(arena));
    const stopFd = made.adopt(makeEventFd(), closeEventFd);
    // The engine closes these two, once it exists.
    using parts = new DisposableStack();
    const link = parts.adopt(openLink(host, arena, name, features, enclosure), (link) => link.close());
    const path = options.socketPath ?? socketPath(name);
    const control = parts.adopt<ControlLine | ControlSocket>(
      enclosure ? openLine(host, enclosure, log) : ControlSocket.open(host, path),
      (control) => control.close(),
    );
    const watcher: SocketWatcher = {
      watch: ({ fd }, ready) => host.watch(fd, ready),
      forget: ({ fd }) => host.forget(fd),
    };
    const sockets = new LinuxSockets(watcher, arena, features);
    const lanes = openLanes(options, host, arena, wasm.module, link);
    if (lanes) closing(lanes);
    const engine = closing(
      new Engine({ host, link, sockets, control, wasm, features, lanes, interfaceIndex, log, lookup }),
    );
    parts.move();
    host.watch(stopFd, () => engine.stop("stopped"));
    probeJoining(engine.path);
    // The probe's packets were expected to fail.
    link.packets.writeErrors = 0;
    made.move();
    return new LinuxEngine(engine, host, stopFd, lanes, rehearse(arena, wasm, lanes !== null));
  }

  /** Runs the interface until it is stopped or deleted. @returns Why it ended. */
  run(): string {
    const { engine, host } = this;
    using closing = new DisposableStack();
    closing.adopt(this.stopFd, closeEventFd);
    closing.adopt(host, (host) => host.close());
    closing.defer(() => this.lanes?.close());
    closing.adopt(engine, (engine) => engine.close());
    const rehearsal = closing.adopt(this.rehearsal, (rehearsal) => rehearsal.return());
    takeShortTurns(TIME_SLICE);
    engine.start();
    const lanes = engine.path.lanes?.lanes;
    let rehearsing = true;
    for (let more = true; engine.ended === null;) {
      host.wait(!more && !rehearsing && (lanes?.maySleep() ?? true));
      lanes?.awake();
      // The engine's own work comes first.
      if (rehearsing && !more && host.idle) rehearsing = !rehearsal.next().done;
      else more = engine.turn();
    }
    return engine.ended;
  }
}

/** An enclosure works without a named socket, for example if another one uses the name. */
function openLine(host: LinuxHost, { control, socketPath }: Enclosure, log: Log): ControlLine {
  let named: ControlSocket | null = null;
  try {
    if (socketPath !== undefined) named = ControlSocket.open(host, socketPath);
  } catch (error) {
    log("info", `wgd show does not work for this tunnel: ${(error as Error).message}`);
  }
  return new ControlLine(host, control, named);
}

function openLanes(
  { lanes: count = 0, beginLane }: LinuxEngineOptions,
  host: LinuxHost,
  arena: MovingArena,
  module: WebAssembly.Module,
  link: TunLink | EnclosedTun,
): LinuxLanes | null {
  if (beginLane === undefined || count === 0 || !link.offloads.header) return null;
  const lanes = new LinuxLanes({ host, arena, module, tun: link.packets.fd, count, begin: beginLane });
  if (lanes.limit > 0) return lanes;
  lanes.close();
  return null;
}

function openLink(
  host: LinuxHost,
  arena: MovingArena,
  name: string,
  features: Features,
  enclosure: Enclosure | undefined,
): TunLink | EnclosedTun {
  const offloads = { tcp: features.wanted("tun-tcp"), udp: features.wanted("tun-udp") };
  const link = enclosure
    ? EnclosedTun.open(host, arena, name, { fd: enclosure.tun, mtu: enclosure.mtu, features: offloads })
    : TunLink.open(host, arena, name, { features: offloads, mtu: DEFAULT_MTU });
  const { header, tcp, udp } = link.offloads;
  const reason = header ? "the kernel refused it (TUNSETOFFLOAD)" : "the kernel has no IFF_VNET_HDR";
  if (!tcp) features.lack("tun-tcp", reason);
  if (!udp) features.lack("tun-udp", reason);
  return link;
}
