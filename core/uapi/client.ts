/**
 * Reads and changes a running interface: over its control socket if a process answers there, else over netlink, as one of
 * the kernel's own.
 *
 * @module
 */

import {
  type DeviceChange,
  type DeviceState,
  formatSet,
  parseGet,
  parseSetReply,
  UapiError,
} from "./format.ts";
import { getKernelDevice, listKernelInterfaces, setKernelDevice } from "./kernel.ts";
import { Errno, errnoOf, interfaceIndex, interfaceName } from "./system.ts";

/** Where control sockets are: every userspace WireGuard on Linux agrees on it. */
const DIRECTORY = "/var/run/wireguard";
const SUFFIX = ".sock";

const NEWLINE = 10;

const encoder = new TextEncoder();

/**
 * A running interface of this or another userspace implementation, or of the kernel; for the latter Deno wants
 * `--allow-ffi`.
 *
 * @example Who has been heard of?
 * ```ts ignore
 * import { Client } from "@wgd/wgd";
 *
 * const client = await Client.connect("wg0");
 * for (const peer of (await client.get()).peers) console.log(peer.endpoint, peer.lastHandshake.seconds);
 * ```
 */
export class Client {
  private constructor(
    /** Name of the interface. */
    readonly name: string,
  ) {}

  /**
   * Makes sure that somebody answers for the interface.
   *
   * @param name Name of the interface.
   * @throws {UapiError} If there is no such interface or it may not be reached.
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
   * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
   */
  get(): Promise<DeviceState> {
    return getDevice(this.name);
  }

  /**
   * Changes the interface. wgd applies a change whole or not at all; others, the kernel among them, may stop half-way.
   *
   * @throws {UapiError} If it cannot be reached or refuses.
   */
  set(change: DeviceChange): Promise<void> {
    return setDevice(this.name, change);
  }

  /**
   * Reads the interface again and again, the first time at once.
   *
   * @returns States, one each interval, until the signal or the end of the loop that takes them.
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

/**
 * Reads everything about an interface.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
 */
export async function getDevice(name: string): Promise<DeviceState> {
  // One connection a request: not every implementation answers a second one (boringtun does not).
  const connection = await connect(name);
  if (!connection) return kernel(name, getKernelDevice);
  try {
    await send(connection, ["get=1\n\n"]);
    return parseGet(await receive(connection), interfaceIndex);
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
      // Some close at the first line they refuse, with their reply already sent.
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
 * Names the WireGuard interfaces of this machine: the kernel's own first, then those with a control socket that answers.
 *
 * @throws {UapiError} If the kernel or the directory of control sockets cannot be read.
 */
export async function listInterfaces(): Promise<string[]> {
  const names = listKernelInterfaces();
  for await (const file of entries(DIRECTORY)) {
    if (file.length <= SUFFIX.length || !file.endsWith(SUFFIX)) continue;
    const name = file.slice(0, -SUFFIX.length);
    if (await isRunning(name)) names.push(name);
  }
  return names;
}

/** Whether somebody listens, be it that we may not talk to them. */
async function isRunning(name: string): Promise<boolean> {
  try {
    const connection = await connect(name);
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

/** Connects, or returns null if nobody listens; then a socket left behind is removed, as `wg` does. */
async function connect(name: string): Promise<Deno.UnixConn | null> {
  if (name.includes("/")) return null;
  const path = `${DIRECTORY}/${name}${SUFFIX}`;
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

/** Does something with an interface that no process answers for. */
function kernel<T>(name: string, what: (name: string) => T): T {
  try {
    return what(name);
  } catch (error) {
    if (!(error instanceof UapiError)) throw error;
    const { errno, message, hint } = error;
    switch (errno) {
      case Errno.EPROTONOSUPPORT:
      case Errno.ENODEV: {
        const nobody =
          `no process answers for interface "${name}": there is no ${DIRECTORY}/${name}${SUFFIX}`;
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

/** Reads up to the empty line that ends a reply, or to the end of the stream. */
async function receive(connection: Deno.UnixConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(1 << 16);
  let text = "";
  // The end is looked for in the bytes: looking at the text would copy all of it for every piece that is added.
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
