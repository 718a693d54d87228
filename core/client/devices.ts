/**
 * Requests to a running interface: over its control socket if a process answers there, else over netlink, as an interface
 * of the kernel.
 *
 * @module
 */

import type { InterfaceBackend } from "../config/backend.ts";
import { formatKey, type Key } from "../config/key.ts";
import { type CountedPeer, type CountersSelection, formatCountersRequest } from "../uapi/counters.ts";
import { type Diagnostics, DIAGNOSTICS_REQUEST, parseDiagnostics } from "../uapi/diagnostics.ts";
import { type DeviceState, GetReader, parseGet, type PeerState } from "../uapi/get.ts";
import { UapiError } from "../uapi/lines.ts";
import { type Location, LOCATION_REQUEST, parseLocation } from "../uapi/location.ts";
import { type DeviceChange, formatSet, parseSetReply } from "../uapi/set.ts";
import { socketPath } from "../uapi/socket_path.ts";
import { connect, receive, receivePieces, send, toUapiError } from "./control_connection.ts";
import { getKernelDevice, setKernelDevice } from "./kernel.ts";
import { Errno, interfaceIndex, interfaceName } from "./system.ts";

/** Everything about an interface. */
export interface DiagnosedDevice {
  /** Its configuration and the state of its peers. */
  state: DeviceState;
  /** The implementation that runs it. */
  backend: InterfaceBackend;
  /** The diagnostics of its process; undefined if wgd does not run it. */
  diagnostics: Diagnostics | undefined;
}

/**
 * Reads everything about an interface.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
 */
export async function getDevice(name: string): Promise<DeviceState> {
  const reply = await ask(name, "get=1\n\n");
  return reply === undefined ? askKernel(name, getKernelDevice) : parseGet(reply, interfaceIndex);
}

/**
 * Reads the private key of an interface. The peers come after it in the reply and are not read, because this takes
 * seconds with 100,000 peers.
 *
 * @param name Name of the interface.
 * @returns Undefined if it has none.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
 */
export async function getPrivateKey(name: string): Promise<Key | undefined> {
  const reply = await ask(name, "get=1\n\n", /\npublic_key=/);
  if (reply === undefined) return askKernel(name, getKernelDevice).privateKey;
  return parseGet(reply.replace(/\npublic_key=[^]*/, "\nerrno=0\n\n"), interfaceIndex).privateKey;
}

/**
 * Reads the peers of an interface, one after the other. 100,000 of them take 200 MB together.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood. Some may have been taken then.
 */
export async function forEachPeer(name: string, take: (peer: PeerState) => void): Promise<void> {
  if (await askForPeers(name, "get=1\n\n", take)) return;
  for (const peer of askKernel(name, getKernelDevice).peers) take(peer);
}

/**
 * Reads the counters of some peers of an interface. wgd's own interfaces return only the requested peers. From other
 * interfaces all peers are read, and the others are discarded.
 *
 * @param name Name of the interface.
 * @param keep Returns what the result has in the place of a peer.
 * @throws {UapiError} If it cannot be reached or its answer cannot be understood.
 */
export async function getCounters<T>(
  name: string,
  selection: CountersSelection,
  keep: (peer: CountedPeer) => T,
): Promise<T[]> {
  const kept: T[] = [];
  try {
    if (await askForPeers(name, formatCountersRequest(selection), (peer) => kept.push(keep(peer)))) {
      return kept;
    }
  } catch {
    // Other implementations refuse the request in different ways.
    kept.length = 0;
  }
  const { since = 0, publicKeys } = selection;
  const wanted = publicKeys && new Set(publicKeys.map(formatKey));
  await forEachPeer(name, (peer) => {
    const { publicKey, lastHandshake } = peer;
    if (lastHandshake.seconds >= since && (!wanted || wanted.has(formatKey(publicKey)))) {
      kept.push(keep(peer));
    }
  });
  return kept;
}

/**
 * Reads the diagnostics of an interface. The peers come after them in the reply and are not read.
 *
 * @param name Name of the interface.
 * @returns Undefined if no process of wgd runs it.
 */
export async function getDiagnostics(name: string): Promise<Diagnostics | undefined> {
  const reply = await ask(name, DIAGNOSTICS_REQUEST, /\npublic_key=/).catch(() => undefined);
  return reply === undefined ? undefined : parseDiagnostics(reply);
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
    return { state: askKernel(name, getKernelDevice), backend: "kernel", diagnostics: undefined };
  }
  const diagnostics = parseDiagnostics(reply);
  if (diagnostics) return { state: parseGet(reply, interfaceIndex), backend: "wgd", diagnostics };
  return { state: await getDevice(name), backend: "other", diagnostics };
}

/** Milliseconds that a process has to report where its interface is. */
const LOCATION_TIMEOUT = 2_000;

/**
 * Requests the location of an interface from its process.
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
 * Opens a connection for each request, because some implementations, such as boringtun, answer only one request.
 *
 * @param enough The reply is read only until it contains a match of this.
 * @returns Undefined if no process listens at a control socket with that name.
 */
async function ask(name: string, request: string, enough?: RegExp): Promise<string | undefined> {
  const connection = await connect(name);
  if (!connection) return undefined;
  try {
    await send(connection, [request]);
    return await receive(connection, enough);
  } catch (error) {
    throw toUapiError(error, `reading interface "${name}"`);
  } finally {
    connection.close();
  }
}

/**
 * Sends a request and reads the peers of its reply, one after the other.
 *
 * @returns False if no process listens at a control socket with that name.
 */
async function askForPeers(
  name: string,
  request: string,
  take: (peer: PeerState) => void,
): Promise<boolean> {
  const connection = await connect(name);
  if (!connection) return false;
  const reader = new GetReader(take, interfaceIndex);
  try {
    await send(connection, [request]);
    for await (const piece of receivePieces(connection)) reader.read(piece);
  } catch (error) {
    throw toUapiError(error, `reading interface "${name}"`);
  } finally {
    connection.close();
  }
  reader.end();
  return true;
}

/**
 * Changes an interface.
 *
 * @param name Name of the interface.
 * @throws {UapiError} If it cannot be reached or refuses.
 */
export async function setDevice(name: string, change: DeviceChange): Promise<void> {
  const connection = await connect(name);
  if (!connection) return askKernel(name, () => setKernelDevice(name, change));
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

/** Calls a function for a kernel interface, because no process answers. */
export function askKernel<T>(name: string, what: (name: string) => T): T {
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
