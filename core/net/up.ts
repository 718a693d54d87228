/**
 * Starts a tunnel inside this program from a configuration file, without privileges and without an interface.
 *
 * @module
 */

import { type Config, parseConfig } from "../config/format.ts";
import { parseAddress } from "../config/address.ts";
import { parsePrefix } from "../config/prefix.ts";
import { ConfigError } from "../config/config_error.ts";
import type { EndpointText, SocketAddress } from "../config/endpoint.ts";
import { splitLines } from "../config/lines.ts";
import { readSettings } from "../config/settings.ts";
import { readConfigFile } from "../config_file.ts";
import { Engine } from "../engine/engine.ts";
import { Features } from "../engine/features.ts";
import { DEFAULT_MTU } from "../engine/path.ts";
import type { Log } from "../log.ts";
import { toChange } from "../uapi/convert.ts";
import { UapiError } from "../uapi/lines.ts";
import { type DeviceChange, formatSet, parseSetReply } from "../uapi/set.ts";
import { Wasm } from "../../wasm/mod.ts";
import type { Net } from "./api.ts";
import { Endpoints, type EndpointSettings, NO_SETTINGS } from "./endpoints.ts";
import { chooseSockets } from "./fast_sockets.ts";
import { EventLoopHost } from "./event_loop_host.ts";
import { IpHost } from "./ip_host.ts";
import { MemoryControl } from "./memory_control.ts";
import { UnixControl } from "./unix_control.ts";
import { UserNet } from "./user_net.ts";
import { passedOver } from "./passed_over.ts";
import { UserLink } from "./user_link.ts";

/** Options of `up`. */
export interface UpOptions {
  /** Ends the attempt. */
  readonly signal?: AbortSignal;
  /**
   * The maximum size of the buffers of all connections in bytes.
   *
   * @default {67108864}
   */
  readonly maxMemory?: number;
  /**
   * The maximum number of connections.
   *
   * @default {16384}
   */
  readonly maxConnections?: number;
  /** Certificates of authorities in PEM that `fetch` and `WebSocket` also trust, such as those of a private network. */
  readonly caCerts?: readonly string[];
  /** Called with lines of the file that have no effect here, and with the tunnel's log. Silent by default. */
  readonly log?: Log;
  /**
   * Path of a Unix socket through which `wgd show`, `set` and `doctor` control the tunnel. By default there is none.
   * Only its owner may be able to use its folder, and the program needs permission to read and write the folder. The
   * name of the socket without `.sock` is the name of the tunnel.
   */
  readonly controlSocket?: string;
  /**
   * The address family that is tried first if a name in the tunnel has addresses of both. The other one is tried as well.
   * For UDP, `wgd proxy` uses one address, by default of IPv4.
   *
   * @default {"ipv6"}
   */
  readonly prefer?: "ipv4" | "ipv6" | undefined;
  /** Looks up the address of an endpoint. By default this uses the machine's own network. */
  readonly resolve?: (endpoint: EndpointText) => Promise<SocketAddress>;
  /**
   * Whether the host name of an endpoint is looked up again when its peer does not answer. Lines of the file,
   * `# wgd: ResolveEndpoints = off`, turn it off as well.
   * @default {true}
   */
  readonly resolveEndpoints?: boolean;
}

/** Where a `Config` is from. */
export interface ConfigOrigin {
  /** The file, for messages. */
  readonly file?: string;
  /** What the file sets in comments for wgd. */
  readonly settings?: EndpointSettings;
}

const MAX_MEMORY = 64 << 20;
const MAX_CONNECTIONS = 16_384;

/**
 * Starts a tunnel inside this program. It needs no root and no interface, only `--allow-net`, and `--allow-read` for
 * the file.
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
 * @throws {ConfigError} If it has an invalid line, or lacks a required one.
 */
export async function up(source: string | URL | Config, options: UpOptions = {}): Promise<Net> {
  return await bringUp(source, options);
}

/** Like `up`, but returns the internal class, for `wgd proxy`. */
export async function bringUp(
  source: string | URL | Config,
  options: UpOptions = {},
  origin: ConfigOrigin = {},
): Promise<UserNet> {
  const { signal, log = () => {} } = options;
  signal?.throwIfAborted();
  const { config, file, settings } = await read(source, origin, log);
  const addresses = addressesOf(config, file);
  for (const line of passedOver(config)) log("info", line);
  const mtu = config.mtu ?? DEFAULT_MTU;
  const names = new Endpoints(config.peers, { ...options, file, settings, log });
  const endpoints = await names.find();
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
  const tell = async (change: DeviceChange) => {
    const errno = parseSetReply(await control.ask(formatSet(change)));
    if (errno !== 0) throw new UapiError(errno, "the tunnel refused its configuration");
  };
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
    lookup: (publicKey, name) => names.findAgain(publicKey, name, tell),
  });
  // Before the sockets, so that acknowledgements leave in the next turn, together with what programs write in response.
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
    streams: sockets.streams,
    caCerts: options.caCerts ?? [],
    prefer: options.prefer,
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
      let more = engine.turn();
      if (ipHost.settle()) more = engine.turn();
      if (more) host.wake();
    },
    get deadline() {
      return ipHost.deadline;
    },
  });
  try {
    engine.start();
    await tell(names.named(toChange(config, endpoints, "set")));
    signal?.throwIfAborted();
    return net;
  } catch (error) {
    net.close();
    throw error;
  }
}

/** Reads a file, unless the caller has. */
async function read(
  source: string | URL | Config,
  { file = "config", settings = NO_SETTINGS }: ConfigOrigin,
  log: Log,
): Promise<Required<ConfigOrigin> & { readonly config: Config }> {
  if (typeof source !== "string" && !(source instanceof URL)) return { config: source, file, settings };
  const path = typeof source === "string" ? source : source.pathname;
  const { text } = await readConfigFile(decodeURIComponent(path));
  const warn = (line: string) => log("info", line);
  return {
    config: parseConfig(text, { file: path }),
    file: path,
    settings: readSettings(splitLines(text), { file: path, warn }),
  };
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
