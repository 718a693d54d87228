/**
 * Reads and changes running interfaces: over the control socket if a process answers there, else over netlink as a
 * kernel interface.
 *
 * @module
 */

import type { InterfaceBackend } from "../config/backend.ts";
import { formatKey } from "../config/key.ts";
import type { WgConfig } from "../config/wg_config.ts";
import type { Mode } from "../uapi/convert.ts";
import { type DeviceState, parseGet } from "../uapi/get.ts";
import { UapiError } from "../uapi/lines.ts";
import { type DeviceChange, formatSet, parseSetReply } from "../uapi/set.ts";
import { type CountedPeer, type CountersSelection, formatCountersRequest } from "../uapi/counters.ts";
import { type Diagnostics, DIAGNOSTICS_REQUEST, parseDiagnostics } from "../uapi/diagnostics.ts";
import { type Location, LOCATION_REQUEST, parseLocation } from "../uapi/location.ts";
import { SOCKET_FOLDER, SOCKET_SUFFIX, socketPath } from "../uapi/socket_path.ts";
import { getKernelDevice, listKernelInterfaces, setKernelDevice } from "./kernel.ts";
import { ownProxyFolder, proxySocket } from "./proxy_sockets.ts";
import { Errno, errnoOf, interfaceIndex, interfaceName } from "./system.ts";
import { completeUpdate, configurationChange, type DeviceUpdate } from "./update.ts";

const NEWLINE = 10;

const encoder = new TextEncoder();

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
    else kernel(name, getKernelDevice);
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

/** Everything about an interface. */
export interface DiagnosedDevice {
  /** Its configuration and the state of its peers. */
  state: DeviceState;
  /** The implementation that runs it. */
  backend: InterfaceBackend;
  /** The diagnostics of its process; undefined if wgd does not run it. */
  diagnostics: Diagnostics | undefined;
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

/**
 * Reads everything about an interface.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
 */
export async function getDevice(name: string): Promise<DeviceState> {
  const reply = await ask(name, "get=1\n\n");
  return reply === undefined ? kernel(name, getKernelDevice) : parseGet(reply, interfaceIndex);
}

/**
 * Reads the counters of some peers of an interface. wgd's own interfaces return only the requested peers. From other
 * interfaces all peers are read, and the others are discarded.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
 */
export async function getCounters(name: string, selection: CountersSelection): Promise<CountedPeer[]> {
  const reply = await ask(name, formatCountersRequest(selection)).catch(() => "");
  if (reply && !/^errno=(?!0$)/m.test(reply)) return parseGet(reply, interfaceIndex).peers;
  const { since = 0, publicKeys } = selection;
  const wanted = publicKeys && new Set(publicKeys.map(formatKey));
  const { peers } = reply === undefined ? kernel(name, getKernelDevice) : await getDevice(name);
  return peers.filter(({ publicKey, lastHandshake }) =>
    lastHandshake.seconds >= since && (!wanted || wanted.has(formatKey(publicKey)))
  );
}

/**
 * Reads everything about an interface, and the diagnostics of its process.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
 */
export async function diagnoseDevice(name: string): Promise<DiagnosedDevice> {
  // Other implementations refuse the request in different ways.
  const reply = await ask(name, DIAGNOSTICS_REQUEST).catch(() => "");
  if (reply === undefined) {
    return { state: kernel(name, getKernelDevice), backend: "kernel", diagnostics: undefined };
  }
  const diagnostics = parseDiagnostics(reply);
  if (diagnostics) return { state: parseGet(reply, interfaceIndex), backend: "wgd", diagnostics };
  return { state: await getDevice(name), backend: "other", diagnostics };
}

/** Milliseconds that a process has to report where its interface is. */
const LOCATION_TIMEOUT = 2_000;

/**
 * Asks an interface's process where the interface is.
 *
 * @param name The name that it was made with.
 * @returns Undefined if no process of wgd answers.
 */
export async function locateDevice(name: string): Promise<Location | undefined> {
  const connection = await connect(name).catch(() => null);
  if (!connection) return undefined;
  const timer = setTimeout(() => connection.close(), LOCATION_TIMEOUT);
  try {
    await send(connection, [LOCATION_REQUEST]);
    return parseLocation(await receive(connection));
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    try {
      connection.close();
    } catch {
      // It timed out.
    }
  }
}

/**
 * Opens a connection for each request: some implementations, such as boringtun, answer one request only.
 *
 * @returns Undefined if nobody listens at a control socket of that name.
 */
async function ask(name: string, request: string): Promise<string | undefined> {
  const connection = await connect(name);
  if (!connection) return undefined;
  try {
    await send(connection, [request]);
    return await receive(connection);
  } catch (error) {
    throw toUapiError(error, `reading interface "${name}"`);
  } finally {
    connection.close();
  }
}

/**
 * Changes an interface.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or refuses.
 */
export async function setDevice(name: string, change: DeviceChange): Promise<void> {
  const connection = await connect(name);
  if (!connection) return kernel(name, () => setKernelDevice(name, change));
  let errno: number;
  try {
    try {
      await send(connection, formatSet(change, interfaceName));
    } catch (error) {
      // Some implementations reply and close the connection at the first line that they refuse.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
    errno = parseSetReply(await receive(connection));
  } catch (error) {
    throw toUapiError(error, `changing interface "${name}"`);
  } finally {
    connection.close();
  }
  if (errno !== 0) throw new UapiError(errno, `interface "${name}" refuses the change (errno ${errno})`);
}

/**
 * Returns the names of this machine's WireGuard interfaces: first the kernel's, then those with a control socket that
 * answers.
 *
 * @throws {UapiError} If the kernel or the directory of control sockets cannot be read.
 */
export async function listInterfaces(): Promise<string[]> {
  return [...listKernelInterfaces(), ...await answering(SOCKET_FOLDER)];
}

/**
 * Returns the names of this machine's interfaces, followed by those of this user's proxies.
 *
 * @throws {UapiError} As `listInterfaces`.
 */
export async function listTunnels(): Promise<string[]> {
  const folder = ownProxyFolder();
  const proxies = folder === undefined ? [] : await answering(folder);
  return [...new Set([...await listInterfaces(), ...proxies])];
}

/** The names of the sockets in a folder on which a process listens, even if we have no permission to connect. */
async function answering(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const file of entries(folder)) {
    if (file.length <= SOCKET_SUFFIX.length || !file.endsWith(SOCKET_SUFFIX)) continue;
    if (await isListening(`${folder}/${file}`)) names.push(file.slice(0, -SOCKET_SUFFIX.length));
  }
  return names;
}

async function isListening(path: string): Promise<boolean> {
  try {
    const connection = await connectAt(path);
    connection?.close();
    return connection !== null;
  } catch (error) {
    if (error instanceof UapiError) return true;
    throw error;
  }
}

async function* entries(directory: string): AsyncGenerator<string, void> {
  try {
    for await (const entry of Deno.readDir(directory)) yield entry.name;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw toUapiError(error, `listing ${directory}`);
  }
}

/** Connects to an interface or a proxy; returns null if nobody listens. */
async function connect(name: string): Promise<Deno.UnixConn | null> {
  if (name.includes("/")) return null;
  for (const path of await socketsOf(name)) {
    const connection = await connectAt(path);
    if (connection) return connection;
  }
  return null;
}

/**
 * The sockets to try for a name. A user's own proxy comes before an interface of the same name, which the user may not
 * access. For root the interface comes first, so that no request for the interface reaches a proxy.
 */
async function socketsOf(name: string): Promise<string[]> {
  const folder = ownProxyFolder();
  if (folder === undefined) return [socketPath(name)];
  const proxy = proxySocket(folder, name);
  if (Deno.uid() !== 0) return [proxy, socketPath(name)];
  const exists = await Deno.lstat(`/sys/class/net/${name}`).then(() => true, () => false);
  return exists ? [socketPath(name)] : [socketPath(name), proxy];
}

/** Connects; returns null if nobody listens, and removes a stale socket, as `wg` does. */
async function connectAt(path: string): Promise<Deno.UnixConn | null> {
  try {
    if (!(await Deno.stat(path)).isSocket) return null;
  } catch {
    return null;
  }
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw toUapiError(error, `connecting to ${path}`);
    await Deno.remove(path).catch(() => {});
    return null;
  }
}

/** Calls a function for an interface of the kernel, since no process answers. */
function kernel<T>(name: string, what: (name: string) => T): T {
  try {
    return what(name);
  } catch (error) {
    if (!(error instanceof UapiError)) throw error;
    const { errno, message, hint } = error;
    switch (errno) {
      case Errno.EPROTONOSUPPORT:
      case Errno.ENODEV: {
        const nobody = `no process answers for interface "${name}": there is no ${socketPath(name)}`;
        throw new UapiError(errno, nobody);
      }
      case Errno.EOPNOTSUPP:
        throw new UapiError(errno, `interface "${name}" is not WireGuard`);
      default:
        throw new UapiError(errno, `interface "${name}": ${message}`, hint);
    }
  }
}

async function send(connection: Deno.UnixConn, chunks: Iterable<string>): Promise<void> {
  for (const chunk of chunks) {
    const bytes = encoder.encode(chunk);
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  }
}

/** Reads a reply up to the empty line that ends it, or to the end of the stream. */
async function receive(connection: Deno.UnixConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(1 << 16);
  let text = "";
  // Searching the bytes for the end avoids a copy of the whole text for each piece that is read.
  let newlines = 1;
  for (;;) {
    const length = await connection.read(buffer);
    if (length === null) return text + decoder.decode();
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
    for (let i = Math.max(0, length - 2); i < length; i++) {
      newlines = buffer[i] === NEWLINE ? newlines + 1 : 0;
    }
    if (newlines >= 2) return text;
  }
}

function toUapiError(error: unknown, action: string): unknown {
  const errno = errnoOf(error);
  return errno === undefined ? error : new UapiError(errno, `${action}: ${(error as Error).message}`);
}
