/**
 * WireGuard for Deno programs: keys, configuration files, and interfaces that run here or elsewhere on this machine.
 *
 * @example Keys for a new peer
 * ```ts
 * import { formatKey, generatePresharedKey, generatePrivateKey, parseKey, publicKey } from "@wgd/wgd";
 * import { deepEqual } from "node:assert/strict";
 *
 * const secret = generatePrivateKey();
 * console.log(`PublicKey = ${formatKey(publicKey(secret))}`);
 * console.log(`PresharedKey = ${formatKey(generatePresharedKey())}`);
 * deepEqual(parseKey(formatKey(secret)), secret);
 * ```
 *
 * @example A configuration file
 * ```ts
 * import { parseConfig } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * const config = parseConfig(`
 * [Interface]
 * Address = 10.0.0.2/24
 *
 * [Peer]
 * PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
 * AllowedIPs = 10.0.0.0/24
 * `);
 * equal(config.peers.length, 1);
 * ```
 *
 * @example Two files, an interface for each, and the handshake between them (as root)
 * ```ts ignore
 * import { Client, formatConfig, formatKey, generatePrivateKey, parseConfig, publicKey } from "@wgd/wgd";
 * import { quickDown, quickUp } from "@wgd/wgd";
 *
 * const keys = [generatePrivateKey(), generatePrivateKey()] as const;
 * for (const [own, other] of [[0, 1], [1, 0]] as const) {
 *   const config = parseConfig(`
 *     [Interface]
 *     PrivateKey = ${formatKey(keys[own])}
 *     Address = 10.0.0.${own + 1}/32
 *     ListenPort = ${51830 + own}
 *
 *     [Peer]
 *     PublicKey = ${formatKey(publicKey(keys[other]))}
 *     AllowedIPs = 10.0.0.${other + 1}/32
 *     Endpoint = 127.0.0.1:${51830 + other}
 *     PersistentKeepalive = 25
 *   `);
 *   await Deno.writeTextFile(`end${own}.conf`, formatConfig(config), { mode: 0o600 });
 *   await quickUp(`end${own}.conf`);
 * }
 *
 * const client = await Client.connect("end0");
 * for await (const { peers: [peer] } of client.watch({ interval: 100 })) {
 *   if (peer!.lastHandshake.seconds > 0) break;
 * }
 * for (const own of [0, 1]) await quickDown(`end${own}.conf`);
 * ```
 *
 * @module
 */

export { type Config, formatConfig, parseConfig } from "./core/config/format.ts";
export type { Family } from "./core/config/address.ts";
export type { EndpointText, SocketAddress } from "./core/config/endpoint.ts";
export type { ServicePort } from "./core/config/number.ts";
export { formatKey, type Key, parseKey } from "./core/config/key.ts";
export { ConfigError } from "./core/config/config_error.ts";
export type { QuickOptions } from "./core/config/quick_config.ts";
export type { ParseOptions, PeerConfig, WgConfig } from "./core/config/wg_config.ts";
export { type AllowedIpChange, formatPrefix, parsePrefix, type Prefix } from "./core/config/prefix.ts";
export { ValueError } from "./core/config/values.ts";
export { generatePresharedKey, generatePrivateKey } from "./core/keys.ts";
export { publicKey } from "./core/public_key.ts";
export type { Backend, InterfaceBackend } from "./core/config/backend.ts";
export { Client, type WatchOptions } from "./core/client/client.ts";
export type { DiagnosedDevice } from "./core/client/devices.ts";
export type { Mode as ConfigureMode } from "./core/uapi/convert.ts";
export type { DeviceUpdate, PeerUpdate } from "./core/client/update.ts";
export type { DeviceState, PeerState } from "./core/uapi/get.ts";
export { UapiError } from "./core/uapi/lines.ts";
export type { DeviceChange, PeerChange } from "./core/uapi/set.ts";
export { FileError } from "./core/file_error.ts";
export { quickDown } from "./core/quick/down.ts";
export { StepError } from "./core/quick/run_steps.ts";
export { QuickError, type QuickRunOptions } from "./core/quick/source.ts";
export { quickUp } from "./core/quick/up.ts";
export type { Diagnostics, FeatureState, QueueState, UserspaceEnd } from "./core/uapi/diagnostics.ts";
export { up, type UpOptions } from "./core/net/up.ts";
export type {
  Net,
  NetConn,
  NetConnectOptions,
  NetConnectTlsOptions,
  NetHandler,
  NetListener,
  NetListenOptions,
  NetServeOptions,
  NetServer,
  NetSignal,
  NetState,
  NetTlsConn,
} from "./core/net/api.ts";
export { Tunnel, type TunnelOptions } from "./core/tunnel/start.ts";
export type { Log } from "./core/log.ts";
export type { Feature } from "./core/config/features.ts";
export type { LaneCount } from "./core/config/lanes.ts";
