/**
 * Starts and stops an engine in a thread of its own.
 *
 * @module
 */

import { SystemError } from "../../ffi/linux/system_error.ts";
import { ringEventFd } from "../../ffi/linux/eventfd.ts";
import type { Log } from "../log.ts";
import type { Feature } from "../config/features.ts";
import { DEFAULT_LANES, type LaneCount } from "../config/lanes.ts";
import type { DeviceChange } from "../uapi/set.ts";
import { failLane, type LaneStart } from "./lane_start.ts";
import type { Enclosure } from "./linux_engine.ts";
import type { EngineMessage, Failure, StartMessage } from "./worker.ts";

/** Options for starting an interface. */
export interface TunnelOptions {
  /** Features to turn off. By default all that the machine supports are used. */
  readonly disable?: readonly Feature[];
  /**
   * The maximum number of additional threads that encrypt and decrypt packets when there is much traffic. The default
   * is "auto": as many as processors are idle, while they increase the throughput.
   */
  readonly lanes?: LaneCount;
  /** Called with each message. By default there is no log. */
  readonly log?: Log;
}

/** How an interface in a network namespace of its own is started. */
export interface EnclosedTunnelOptions extends TunnelOptions {
  readonly enclosure: Enclosure;
  /** Sends a change to the interface, over the connection that controls it. */
  readonly tell: (change: DeviceChange) => Promise<void>;
}

/**
 * Begins an engine's thread, which is the slowest part of a start. It does nothing until `Tunnel.start`.
 *
 * @param name For debuggers.
 */
export function loadEngine(name: string): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: `wgd ${name}` });
}

/**
 * A WireGuard interface that this process runs, in a thread of its own. It is configured like any other, through its
 * control socket.
 *
 * @example
 * ```ts ignore
 * import { Client, Tunnel } from "@wgd/wgd";
 *
 * await using tunnel = await Tunnel.start("wg1");
 * const client = await Client.connect(tunnel.name);
 * console.log((await client.get()).peers.length);
 * ```
 */
export class Tunnel implements AsyncDisposable {
  /** Resolves with the reason when it has ended: it was stopped, or the interface or the control socket was deleted. */
  readonly stopped: Promise<string>;
  readonly #stopFd: number;
  #running = true;

  private constructor(readonly name: string, stopFd: number, stopped: Promise<string>) {
    this.#stopFd = stopFd;
    this.stopped = stopped.finally(() => this.#running = false);
  }

  /**
   * Makes the interface, down and without keys, and its control socket.
   *
   * @example With a log.
   * ```ts ignore
   * import { Tunnel } from "@wgd/wgd";
   *
   * await using tunnel = await Tunnel.start("wg1", { log: (level, message) => console.error(level, message) });
   * ```
   *
   * @param name 1 to 15 bytes.
   * @param worker The result of `loadEngine`, if it was called earlier.
   * @throws {Error} If permissions or the TUN device are missing, or the name is in use.
   */
  static async start(
    name: string,
    options: TunnelOptions | EnclosedTunnelOptions = {},
    worker: Worker = loadEngine(name),
  ): Promise<Tunnel> {
    const { disable = [], lanes = DEFAULT_LANES, log = () => {} } = options;
    const enclosed = "enclosure" in options ? options : undefined;
    const ended = Promise.withResolvers<string>();
    const ready = Promise.withResolvers<number>();
    worker.onmessage = ({ data }: MessageEvent<EngineMessage>) => {
      switch (data.kind) {
        case "ready":
          return ready.resolve(data.stopFd);
        case "log":
          return log(data.level, data.message);
        case "lookup":
          return void lookUp(name, data.publicKey, data.name, log, enclosed?.tell);
        case "lane":
          return startLane(name, data.start, log);
        case "stopped":
          return ended.resolve(data.reason);
        case "failed":
          ready.reject(errorOf(data.failure));
          return ended.reject(errorOf(data.failure));
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      ready.reject(new Error(event.message));
      ended.reject(new Error(event.message));
    };
    // `start` reports a failure to start. It must not be an unhandled rejection if nobody waits for the end.
    ended.promise.catch(() => {});
    worker.postMessage({ name, disable, lanes, enclosure: enclosed?.enclosure } satisfies StartMessage);
    return new Tunnel(name, await ready.promise, ended.promise);
  }

  /**
   * Deletes the interface and erases its keys.
   *
   * @example
   * ```ts ignore
   * import { Tunnel } from "@wgd/wgd";
   *
   * const tunnel = await Tunnel.start("wg1");
   * await tunnel.stop();
   * console.log(await tunnel.stopped);
   * ```
   */
  async stop(): Promise<void> {
    if (this.#running) ringEventFd(this.#stopFd);
    await this.stopped;
  }

  /** As `stop`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function errorOf({ message, stack, system }: Failure): Error {
  if (system) return new SystemError(system.action, system.errno, system.hint);
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** Begins a lane's thread. If the lane fails, it tells the engine itself, and tells us the reason. */
function startLane(name: string, start: LaneStart, log: Log): void {
  const options = { type: "module", name: `wgd ${name} lane ${start.number}` } as const;
  const worker = new Worker(new URL("./lane_worker.ts", import.meta.url), options);
  const failed = (reason: string) =>
    log("error", `interface ${name}: lane ${start.number} failed: ${reason}`);
  worker.onmessage = ({ data }: MessageEvent<string>) => failed(data);
  // Its thread did not begin.
  worker.onerror = (event) => {
    event.preventDefault();
    failed(event.message);
    failLane(start);
  };
  worker.postMessage(start);
}

/** Loaded when needed, because few tunnels need it. */
async function lookUp(
  name: string,
  publicKey: Uint8Array,
  endpointName: string,
  log: Log,
  tell?: EnclosedTunnelOptions["tell"],
): Promise<void> {
  const [{ lookUpAgain }, { setDevice }] = await Promise.all([
    import("../client/lookup.ts"),
    import("../client/devices.ts"),
  ]);
  await lookUpAgain(
    publicKey,
    endpointName,
    tell ?? ((change) => setDevice(name, change)),
    (message) => log("info", message),
  );
}
