/**
 * Finds every mistake in a file without changing the system.
 *
 * @module
 */

import { formatKey } from "../config/key.ts";
import { ConfigError } from "../config/config_error.ts";
import { parseQuickConfig } from "../config/quick_config.ts";
import { parseWgConfig, type WgConfig } from "../config/wg_config.ts";
import { formatPrefix } from "../config/prefix.ts";
import {
  endpointLoops,
  isOwnPeer,
  loopWarning,
  mtuPitfall,
  numericEndpoints,
  ownPeerError,
} from "../config/pitfalls.ts";
import { publicKeyOf } from "./own_key.ts";
import { adviseFileName, FILE_NAME_MESSAGE, nameOfFile } from "../config/interface_name.ts";
import type { ServicePort } from "../config/number.ts";
import { kernelWarnings } from "./backend.ts";

/** The result of checking a file. */
export interface CheckReport {
  /** Lines that prevent the interface from coming up, in the file's order. */
  readonly errors: readonly ConfigError[];
  /** Lines that are valid but probably not intended. */
  readonly warnings: readonly string[];
}

/** How to check a file. */
export interface CheckOptions {
  /** Looks up names of services, which may be used in place of a port. */
  readonly servicePort?: ServicePort;
  /** Name of the interface, if it differs from the file's. */
  readonly interfaceName?: string;
}

/**
 * Checks a file.
 *
 * @param bytes The content of the file.
 * @param file Its name, for messages.
 */
export async function checkConfig(
  bytes: Uint8Array,
  file: string,
  { servicePort, interfaceName }: CheckOptions = {},
): Promise<CheckReport> {
  const errors: ConfigError[] = [];
  const warnings: string[] = [];
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const broken = text.split("\n").findIndex((line) => line.includes("\ufffd"));
  if (broken >= 0) warnings.push(`${file}:${broken + 1}: is not UTF-8; remove the invalid characters`);
  const onError = (error: ConfigError) => void errors.push(error);
  // The caller prints "Warning: " before each of them.
  const warn = (warning: string) => void warnings.push(warning.replace(/^Warning: /, ""));
  const { quick, wg, wgLines, settings } = parseQuickConfig(text, { file, onError, warn });
  const config = parseWgConfig(wg, {
    file,
    lines: wgLines,
    onError,
    warn,
    ...(servicePort && { servicePort }),
  });
  const reported = errors.some(({ key }) => key === "Interface");
  if (!reported && (interfaceName ?? settings.interface ?? nameOfFile(file)) === undefined) {
    errors.push(new ConfigError(FILE_NAME_MESSAGE, file, 0, "file name", adviseFileName(file)));
  }
  const mtu = mtuPitfall(quick, config, file);
  if (mtu.error) errors.push(mtu.error);
  const ownKey = config.privateKey && await publicKeyOf(config.privateKey);
  errors.push(
    ...config.peers.filter((peer) => isOwnPeer(peer, ownKey)).map((peer) => ownPeerError(peer, file)),
  );
  if (errors.length === 0) {
    if (mtu.warning) warnings.push(mtu.warning);
    if (!config.privateKey && quick.preUp.length === 0 && quick.postUp.length === 0) {
      warnings.push(`${file}: no PrivateKey: without it the interface cannot connect to any peer`);
    }
    if (quick.address.length === 0 && quick.preUp.length === 0 && quick.postUp.length === 0) {
      warnings.push(`${file}: no Address: nothing can be sent through the interface`);
    }
    if (quick.dnsSearch.length > 0 && quick.dns.length === 0) {
      warnings.push(`${file}: DNS has search domains only; they are not used without a server`);
    }
    warnings.push(...peerWarnings(config, file));
    for (const loop of endpointLoops(quick, config, numericEndpoints(config))) {
      warnings.push(loopWarning(loop, file, false));
    }
    if (settings.backend === "kernel") warnings.push(...kernelWarnings(settings, file));
  }
  return { errors: errors.sort((a, b) => a.line - b.line), warnings };
}

function* peerWarnings({ peers }: WgConfig, file: string): Generator<string> {
  const owners = new Map<string, string>();
  const keys = new Set<string>();
  for (const { publicKey, allowedIps } of peers) {
    const key = formatKey(publicKey);
    if (keys.has(key)) yield `${file}: the peer ${key} occurs twice; its sections are combined`;
    keys.add(key);
    if (allowedIps.length === 0) yield `${file}: the peer ${key} has no AllowedIPs: nothing is sent to it`;
    for (const { remove, prefix } of allowedIps) {
      const network = formatPrefix(prefix);
      const owner = owners.get(network);
      if (!remove && owner !== undefined && owner !== key) {
        yield `${file}: ${network} is in the AllowedIPs of two peers; it is routed to the last one, ${key}`;
      }
      if (!remove) owners.set(network, key);
    }
  }
}
