/**
 * Brings up a tunnel inside this program from a configuration file, without privileges and without an interface.
 *
 * @module
 */

import { type Config, parseConfig } from "../config/format.ts";
import { parseAddress } from "../config/address.ts";
import { parsePrefix } from "../config/prefix.ts";
import { ConfigError } from "../config/config_error.ts";
import type { EndpointText, SocketAddress } from "../config/endpoint.ts";
import { ValueError } from "../config/values.ts";
import { readConfigFile } from "../config_file.ts";
import { resolveEndpoint } from "../client/resolve.ts";
import { Engine } from "../engine/engine.ts";
import { Features } from "../engine/features.ts";
import type { Log } from "../log.ts";
import { toChange } from "../uapi/convert.ts";
import { formatSet, parseSetReply, UapiError } from "../uapi/format.ts";
import { Wasm } from "../../wasm/mod.ts";
import type { Net } from "./api.ts";
import { chooseSockets } from "./fast_sockets.ts";
import { EventLoopHost } from "./event_loop_host.ts";
import { IpHost } from "./ip_host.ts";
import { MemoryControl } from "./memory_control.ts";
import { UnixControl } from "./unix_control.ts";
import { UserNet } from "./user_net.ts";
import { UserLink } from "./user_link.ts";

/** Options of `up`. */
export interface UpOptions {
  /** Ends the attempt. */
  readonly signal?: AbortSignal;
  /**
   * The most bytes that the buffers of all connections may take together.
   * @default {67108864}
   */
  readonly maxMemory?: number;
  /**
   * The most connections at once.
   * @default {16384}
   */
  readonly maxConnections?: number;
  /** Certificates of authorities in PEM that `fetch` and `WebSocket` also trust, such as those of a private network. */
  readonly caCerts?: readonly string[];
  /** Called with lines of the file that have no effect here, and with the tunnel's log. Silent by default. */
  readonly log?: Log;
  /**
   * Path of a Unix socket at which `wgd show`, `set` and `doctor` find the tunnel, in a folder that only its owner can use;
   * none by default. Its name without `.sock` is that of the tunnel. This needs permission to read and write the folder.
   */
  readonly controlSocket?: string;
  /** Looks up the address of an endpoint; by default over the machine's own network. */
  readonly resolve?: (endpoint: EndpointText) => Promise<SocketAddress>;
}

const DEFAULT_MTU = 1_420;
const MAX_MEMORY = 64 << 20;
const MAX_CONNECTIONS = 16_384;

/**
 * Brings a tunnel up inside this program. It needs no root and no interface: `--allow-net`, and `--allow-read` for the file.
 *
 * @example A server for the others in the network
 * ```ts ignore
 * import { up } from "@wgd/wgd";
 *
 * await using net = await up("client.conf");
 * await using server = net.serve({ port: 80 }, () => new Response("hello"));
 * console.log(server.addr.hostname);
 * ```
 *
 * @param source A configuration file: its path, its URL, or its contents.
 * @throws {FileError} If the file cannot be read.
 * @throws {ConfigError} If it has a line that cannot be used, or lacks one.
 */
export async function up(source: string | URL | Config, options: UpOptions = {}): Promise<Net> {
  return await bringUp(source, options);
}

/**
 * As `up`, for those who want to know more of the tunnel than programs do.
 *
 * @param name The file that a `Config` is from, for messages.
 */
export async function bringUp(
  source: string | URL | Config,
  options: UpOptions = {},
  name = "config",
): Promise<UserNet> {
  const { signal, log = () => {} } = options;
  signal?.throwIfAborted();
  const file = typeof source === "string" ? source : source instanceof URL ? source.pathname : name;
  const config = typeof source === "string" || source instanceof URL
    ? parseConfig((await readConfigFile(decodeURIComponent(file))).text, { file })
    : source;
  const addresses = addressesOf(config, file);
  for (const line of passedOver(config)) log("info", line);
  const mtu = config.mtu ?? DEFAULT_MTU;
  const resolve = options.resolve ?? ((endpoint) => resolveEndpoint(endpoint, { retries: 2 }));
  const endpoints = await Promise.all(config.peers.map(async ({ endpoint, endpointLine = 0 }) => {
    try {
      return endpoint && await resolve(endpoint);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError(error.message, file, endpointLine, "Endpoint", error.advice);
    }
  }));
  signal?.throwIfAborted();

  const features = new Features([], (message) => log("error", message));
  const wasm = new Wasm();
  const host = new EventLoopHost();
  const ipHost = new IpHost(wasm, {
    addresses,
    mtu,
    maxMemory: options.maxMemory ?? MAX_MEMORY,
    maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
    random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
    now: () => host.boot(),
    wake: () => host.wake(),
  });
  const link = new UserLink("wgd", ipHost, mtu, addresses);
  const control = new MemoryControl(host);
  const sockets = await chooseSockets(wasm.memory, host, features, log);
  const engine = new Engine({
    host,
    link,
    sockets: sockets.factory,
    control,
    wasm,
    features,
    interfaceIndex: () => 0,
    log,
    lookup: () => {},
  });
  // Last, so that answers to received packets leave in the same turn.
  host.add(link);
  const { controlSocket } = options;
  const listening = controlSocket === undefined ? null : await UnixControl.open(controlSocket, host, control);
  const net = new UserNet({
    host: ipHost,
    addresses,
    servers: config.dns ?? [],
    search: config.dnsSearch ?? [],
    ask: (request) => control.ask(request),
    sockets: sockets.kind,
    caCerts: options.caCerts ?? [],
    greet: () => {
      engine.greet();
      host.wake();
    },
    end: () => {
      listening?.close();
      host.stop();
      engine.close();
      return sockets.close();
    },
  });
  host.start({
    turn: () => {
      const more = engine.turn();
      ipHost.settle();
      if (more) host.wake();
    },
    get deadline() {
      return ipHost.deadline;
    },
  });
  try {
    engine.start();
    const errno = parseSetReply(await control.ask(formatSet(toChange(config, endpoints, "set"))));
    if (errno !== 0) throw new UapiError(errno, "the tunnel refused its configuration");
    signal?.throwIfAborted();
    return net;
  } catch (error) {
    net.close();
    throw error;
  }
}

/** The addresses of the tunnel. @throws {ConfigError} If there is none, or one is invalid. */
function addressesOf({ address = [] }: Config, file: string): Uint8Array[] {
  if (address.length === 0) {
    throw new ConfigError(
      "No address",
      file,
      0,
      "Address",
      "without a TUN device the tunnel needs an address, such as Address = 10.0.0.2/32 in [Interface]",
    );
  }
  return address.map((text) => {
    // Parsing a prefix would clear the host part.
    const address = parsePrefix(text) && parseAddress(text.replace(/\/.*/, ""));
    if (!address) {
      const advice = "expected an address such as 10.0.0.2/32 or fd00::2/128";
      throw new ConfigError(`Unable to parse IP address: \`${text}'`, file, 0, "Address", advice);
    }
    return address;
  });
}

/** Lines of a file that have no meaning inside a program. */
function passedOver(config: Config): string[] {
  const keys: [string, boolean][] = [
    ["PreUp", !!config.preUp?.length],
    ["PostUp", !!config.postUp?.length],
    ["PreDown", !!config.preDown?.length],
    ["PostDown", !!config.postDown?.length],
    ["Table", config.table !== undefined],
    ["SaveConfig", !!config.saveConfig],
  ];
  return keys.filter(([, there]) => there).map(([key]) =>
    `${key} has no effect in a tunnel without an interface`
  );
}
