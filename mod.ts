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
 * @module
 */

export { type Config, formatConfig, parseConfig } from "./core/config/format.ts";
export type { Family } from "./core/config/address.ts";
export type { EndpointText, SocketAddress } from "./core/config/endpoint.ts";
export type { ServicePort } from "./core/config/number.ts";
export { formatKey, type Key, parseKey } from "./core/config/key.ts";
export {
  ConfigError,
  type ParseOptions,
  type PeerConfig,
  type QuickOptions,
  type WgConfig,
} from "./core/config/parse.ts";
export { type AllowedIpChange, formatPrefix, parsePrefix, type Prefix } from "./core/config/prefix.ts";
export { generatePresharedKey, generatePrivateKey } from "./core/keys.ts";
export { publicKey } from "./core/public_key.ts";
export { Client, type WatchOptions } from "./core/uapi/client.ts";
export {
  type DeviceChange,
  type DeviceState,
  type PeerChange,
  type PeerState,
  UapiError,
} from "./core/uapi/format.ts";
export { FileError } from "./core/file_error.ts";
export { StepError } from "./core/quick/apply.ts";
export { quickDown, QuickError, type QuickRunOptions, quickUp } from "./core/quick/quick.ts";
export { Tunnel, type TunnelOptions } from "./core/engine/start.ts";
export type { EngineFeatures, Log } from "./core/engine/engine.ts";
