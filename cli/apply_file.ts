/**
 * `setconf`, `addconf` and `syncconf`. They differ in how the file is combined with the interface's configuration.
 *
 * @module
 */

import type { SocketAddress } from "../core/config/endpoint.ts";
import { ConfigError } from "../core/config/config_error.ts";
import { parseWgConfig, type WgConfig } from "../core/config/wg_config.ts";
import { ValueError } from "../core/config/values.ts";
import { getDevice, setDevice } from "../core/client/devices.ts";
import { type Mode, toChange, toDifference } from "../core/uapi/convert.ts";
import type { DeviceChange } from "../core/uapi/set.ts";
import { servicePort } from "../core/client/system.ts";
import { resolve } from "./endpoint.ts";
import { fileError, reportUapiError } from "./failure.ts";
import { complainHint } from "./hint.ts";
import { decodeText, readBytes, type Text } from "./input.ts";
import { programName } from "./program.ts";
import { complain, complainBytes } from "./render/output.ts";

/**
 * Reads a whole file, then applies it.
 *
 * @param mode How the file is combined with the interface's configuration.
 * @param args Interface and file.
 * @returns The exit code.
 */
export async function applyFile(mode: Mode, args: readonly string[]): Promise<number> {
  const [name, file] = args;
  if (name === undefined || file === undefined || args.length !== 2) {
    complain(`Usage: ${programName()} ${mode}conf <interface> <configuration filename>`);
    return 1;
  }
  let text: Text;
  try {
    text = decodeText(await readBytes(file));
  } catch (error) {
    complain(`fopen: ${fileError(error)}`);
    return 1;
  }
  const config = readConfig(text, file);
  const endpoints = config && await resolveAll(config, file);
  if (!config || !endpoints) return 1;
  // IFNAMSIZ is 16 with the final zero.
  return await sendChange(mode, name.slice(0, 15), toChange(config, endpoints, mode));
}

async function sendChange(mode: Mode, name: string, change: DeviceChange): Promise<number> {
  // A file without peers removes all peers, so there is nothing to compare.
  if (mode === "sync" && change.peers.length > 0) {
    try {
      change = toDifference(change, await getDevice(name));
    } catch (error) {
      return reportUapiError("Unable to retrieve current interface configuration", error, name);
    }
  }
  try {
    await setDevice(name, change);
    return 0;
  } catch (error) {
    return reportUapiError("Unable to modify interface", error, name);
  }
}

function readConfig({ text, encode }: Text, file: string): WgConfig | undefined {
  try {
    return parseWgConfig(text, { file, servicePort, warn: complain });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const whole = error.key !== "[Peer]";
    complainBytes(encode(`${error.message}\n`));
    complain(whole ? "Configuration parsing error" : "Invalid configuration");
    complainBytes(encode(`hint: ${error.hint}\n`));
    return undefined;
  }
}

/** Looks endpoints up one after the other, as `wg` does; the first failure ends it. */
async function resolveAll(
  config: WgConfig,
  file: string,
): Promise<(SocketAddress | undefined)[] | undefined> {
  const endpoints: (SocketAddress | undefined)[] = [];
  for (const { endpoint, endpointLine = 0 } of config.peers) {
    try {
      endpoints.push(endpoint && await resolve(endpoint));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      complain(error.message);
      complain("Configuration parsing error");
      complainHint(new ConfigError(error.message, file, endpointLine, "Endpoint", error.advice));
      return undefined;
    }
  }
  return endpoints;
}
