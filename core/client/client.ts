/**
 * A running interface for programs.
 *
 * @module
 */

import type { WgConfig } from "../config/wg_config.ts";
import type { Mode } from "../uapi/convert.ts";
import type { DeviceState } from "../uapi/get.ts";
import { connect } from "./control_connection.ts";
import { askKernel, type DiagnosedDevice, diagnoseDevice, getDevice, setDevice } from "./devices.ts";
import { getKernelDevice } from "./kernel.ts";
import { completeUpdate, configurationChange, type DeviceUpdate } from "./update.ts";

/**
 * A running interface of wgd, of another userspace implementation, or of the kernel. Kernel interfaces need
 * `--allow-ffi`.
 *
 * @example List the peers.
 * ```ts ignore
 * import { Client, formatKey } from "@wgd/wgd";
 *
 * const client = await Client.connect("wg0");
 * for (const { publicKey, rxBytes, txBytes } of (await client.get()).peers) {
 *   console.log(formatKey(publicKey), rxBytes, txBytes);
 * }
 * ```
 */
export class Client {
  private constructor(
    /** Name of the interface. */
    readonly name: string,
  ) {}

  /**
   * Connects to an interface and checks that it answers.
   *
   * @example
   * ```ts ignore
   * import { Client, UapiError } from "@wgd/wgd";
   * import { equal, rejects } from "node:assert/strict";
   *
   * equal((await Client.connect("wg0")).name, "wg0");
   * await rejects(() => Client.connect("nobody"), UapiError);
   * ```
   *
   * @param name Name of the interface.
   * @throws {UapiError} If there is no such interface, or access is denied.
   */
  static async connect(name: string): Promise<Client> {
    const connection = await connect(name);
    if (connection) connection.close();
    else askKernel(name, getKernelDevice);
    return new Client(name);
  }

  /**
   * Reads everything about the interface.
   *
   * @example
   * ```ts ignore
   * import { Client, formatPrefix } from "@wgd/wgd";
   *
   * const client = await Client.connect("wg0");
   * const { listenPort, peers } = await client.get();
   * console.log(listenPort, peers.flatMap(({ allowedIps }) => allowedIps.map(formatPrefix)));
   * ```
   *
   * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
   */
  get(): Promise<DeviceState> {
    return getDevice(this.name);
  }

  /**
   * Reads everything about the interface and the diagnostics of its process.
   *
   * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
   */
  diagnose(): Promise<DiagnosedDevice> {
    return diagnoseDevice(this.name);
  }

  /**
   * Changes the interface. wgd applies a change completely or not at all. Other implementations and the kernel may
   * apply a part of it.
   *
   * @example Add and remove a peer.
   * ```ts ignore
   * import { Client, generatePrivateKey, publicKey } from "@wgd/wgd";
   * import { equal } from "node:assert/strict";
   *
   * const client = await Client.connect("wg0");
   * const before = (await client.get()).peers.length;
   * const anna = publicKey(generatePrivateKey());
   * await client.set({ peers: [{ publicKey: anna, allowedIps: ["10.0.0.7/32"], endpoint: "192.0.2.7:51820" }] });
   * equal((await client.get()).peers.length, before + 1);
   * await client.set({ peers: [{ publicKey: anna, remove: true }] });
   * equal((await client.get()).peers.length, before);
   * ```
   *
   * @throws {ValueError} If a text in the change is invalid, or a host cannot be found. Nothing is changed then.
   * @throws {UapiError} If it cannot be reached or refuses.
   */
  async set(change: DeviceUpdate): Promise<void> {
    await setDevice(this.name, await completeUpdate(change));
  }

  /**
   * Applies a configuration, as `wg syncconf`, `setconf` and `addconf` do. Addresses, routes and hooks are not applied;
   * `quickUp` does that.
   *
   * @example
   * ```ts ignore
   * import { Client, formatKey, generatePrivateKey, parseConfig, publicKey, Tunnel } from "@wgd/wgd";
   * import { equal } from "node:assert/strict";
   *
   * await using tunnel = await Tunnel.start("wg1");
   * const client = await Client.connect(tunnel.name);
   * await client.configure(parseConfig(`
   * [Interface]
   * PrivateKey = ${formatKey(generatePrivateKey())}
   * ListenPort = 51821
   *
   * [Peer]
   * PublicKey = ${formatKey(publicKey(generatePrivateKey()))}
   * AllowedIPs = 10.0.0.2/32
   * `));
   * equal((await client.get()).listenPort, 51821);
   * ```
   *
   * @param mode `sync` applies the differences, so that unchanged peers keep their sessions; `set` replaces everything;
   * `add` keeps settings that the configuration does not contain.
   * @throws {ValueError} If a host cannot be found. Nothing is changed then.
   * @throws {UapiError} If it cannot be reached or refuses.
   */
  async configure(config: WgConfig, mode: Mode = "sync"): Promise<void> {
    await setDevice(this.name, await configurationChange(config, mode, () => this.get()));
  }

  /**
   * Reads the interface repeatedly, the first time immediately.
   *
   * @example Wait for the first handshake, ten seconds at most.
   * ```ts ignore
   * import { Client } from "@wgd/wgd";
   *
   * const client = await Client.connect("wg0");
   * let seconds = 0;
   * for await (const { peers } of client.watch({ interval: 100, signal: AbortSignal.timeout(10_000) })) {
   *   seconds = Math.max(...peers.map(({ lastHandshake }) => lastHandshake.seconds));
   *   if (seconds > 0) break;
   * }
   * if (seconds === 0) throw new Error("nobody answers");
   * ```
   *
   * @returns One state each interval, until the signal is aborted or the loop over them ends.
   * @throws {UapiError} When the interface can no longer be read.
   */
  async *watch(options: WatchOptions = {}): AsyncGenerator<DeviceState, void> {
    const { interval = 1000, signal } = options;
    while (!signal?.aborted) {
      yield await this.get();
      await pause(interval, signal);
    }
  }
}

/** How to watch an interface. */
export interface WatchOptions {
  /**
   * Milliseconds between readings.
   * @default {1000}
   */
  interval?: number;
  /** Ends the watch. */
  signal?: AbortSignal;
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}
