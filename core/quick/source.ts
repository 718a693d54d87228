/**
 * Finds and reads the file of an interface, and looks up its endpoints.
 *
 * @module
 */

import type { Backend } from "../config/backend.ts";
import type { EndpointText, SocketAddress } from "../config/endpoint.ts";
import type { ConfigError } from "../config/config_error.ts";
import { parseQuickConfig, type QuickConfig } from "../config/quick_config.ts";
import {
  adviseFileName,
  FILE_NAME_MESSAGE,
  isInterfaceName,
  isPossibleName,
  nameOfFile,
  savedFile,
  whyNoName,
} from "../config/interface_name.ts";
import type { Key } from "../config/key.ts";
import { parsePort } from "../config/number.ts";
import { isOwnPeer, mtuPitfall, ownPeerError } from "../config/pitfalls.ts";
import type { PeerSettings } from "../config/settings.ts";
import { parseWgConfig, type PeerConfig, type WgConfig } from "../config/wg_config.ts";
import type { Text } from "../config/text.ts";
import { folderOf, readConfigFile } from "../config_file.ts";
import { findEndpoints } from "../client/lookup.ts";
import { isNamed } from "../client/named.ts";
import { resolveEndpoint } from "../client/resolve.ts";
import { servicePort } from "../client/system.ts";
import { publicKeyOf } from "./own_key.ts";

/** Retries after a temporary failure of a lookup, as in `wg`. */
const RESOLUTION_RETRIES = 15;

/**
 * An interface could not be brought up or taken down.
 *
 * @example
 * ```ts
 * import { QuickError, quickUp } from "@wgd/wgd";
 * import { rejects } from "node:assert/strict";
 *
 * await rejects(quickUp("not-there.conf"), QuickError);
 * ```
 */
export class QuickError extends Error {
  /** "QuickError". */
  override readonly name = "QuickError";

  /**
   * Makes the error.
   *
   * @param message The error. It is wg-quick's message, if there is one.
   * @param hint What to do about it; undefined if the message is enough.
   * @param options.cause The cause, such as the interface's refusal.
   */
  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Options of `quickUp` and `quickDown`. */
export interface QuickRunOptions {
  /**
   * Name of the interface. The default is that of `# wgd: Interface = NAME` in the file, else the file's own name.
   */
  readonly interfaceName?: string;
  /** Called with each step before it is done. By default nothing is reported. */
  readonly announce?: (step: string) => void;
  /** Called with warnings. By default they are not reported. */
  readonly warn?: (text: string) => void;
  /**
   * The WireGuard implementation for `quickUp`: `kernel`, `wgd` (a wgd process), or `auto`: the kernel if it has
   * WireGuard, else a wgd process. It takes precedence over the file.
   * @default {"auto"}
   */
  readonly backend?: Backend;
  /**
   * Program that makes an interface of wgd's: called with the interface's name behind these words.
   * @default {["wgd", "run"]}
   */
  readonly creator?: readonly string[];
  /** Whether `quickDown` continues, with a warning, if a hook fails or the file cannot be saved. */
  readonly force?: boolean;
  /** The command line of wgd. Hooks can then use `wg`, `wg-quick` and `wgd`, even if the machine does not have them. */
  readonly self?: readonly string[];
  /**
   * The command that repairs an interface whose file contains `# wgd: Repair = on`. The interface's name is appended.
   * @default {["wgd", "quick", "watch"]}
   */
  readonly watcher?: readonly string[];
  /** Whether to only announce the steps. */
  readonly dryRun?: boolean;
  /**
   * Makes the interface in place of the creator, which is then used only in messages. It gets the interface's name and
   * its environment variables. It resolves when the interface can be used, with 0 or the exit code of a failure.
   */
  readonly create?: (name: string, env: Readonly<Record<string, string>>) => Promise<number>;
  /** Finds the address of an endpoint. */
  readonly resolve?: (endpoint: EndpointText) => Promise<SocketAddress>;
  /**
   * Whether the host name of an endpoint is looked up again when its peer does not answer. `# wgd: ResolveEndpoints =
   * off` in the file turns this off as well. Only wgd's own interfaces do this.
   *
   * @default {true}
   */
  readonly resolveEndpoints?: boolean;
  /**
   * Aborting it ends `quickUp` and the program that it runs, and undoes the steps. After aborting `quickDown`, call it
   * again.
   */
  readonly signal?: AbortSignal;
}

/** A configuration file that was read. */
export interface QuickSource {
  /** Name of the interface. */
  readonly name: string;
  /** The file. */
  readonly path: string;
  /** The whole text. */
  readonly text: string;
  /** The parsed content. */
  readonly config: QuickConfig;
  /** Encodes parts of the text as bytes of the file. */
  readonly encode: Text["encode"];
}

/**
 * Finds and reads a file: the one of that name, or the one for that interface in /etc/wireguard.
 *
 * @throws {QuickError} If there is no such file, or its interface has no name.
 * @throws {FileError} If it cannot be read.
 * @throws {ConfigError} If a key of wg-quick has an invalid value.
 */
export async function readQuickSource(
  target: string,
  { warn, interfaceName }: Pick<QuickRunOptions, "warn" | "interfaceName"> = {},
): Promise<QuickSource> {
  requireName(interfaceName);
  const path = await findFile(target, warn);
  const { text, encode } = await readConfigFile(path);
  const errors: ConfigError[] = [];
  const onError = (error: ConfigError) => void errors.push(error);
  const config = parseQuickConfig(text, { file: path, onError, ...(warn && { warn }) });
  // A file of another kind has no such name either, so its kind is reported first.
  const name = interfaceName ?? config.settings.interface ?? nameOfFile(path);
  const [error] = errors;
  if (name === undefined && error?.key !== "Interface") {
    throw new QuickError(FILE_NAME_MESSAGE, adviseFileName(path));
  }
  if (error) throw error;
  return { name: name!, path, text, encode, config };
}

/**
 * Checks that a word can be the name of an interface.
 *
 * @throws {QuickError} If it cannot.
 */
export function requireName(word: string | undefined): void {
  if (word === undefined || isPossibleName(word)) return;
  throw new QuickError(`not the name of an interface: \`${word}'`, whyNoName(word));
}

/**
 * Finds a file: the one of that name, or the one in /etc/wireguard.
 *
 * @throws {QuickError} If there is no such file.
 */
export async function findFile(target: string, warn: (text: string) => void = () => {}): Promise<string> {
  const isFile = (path: string) => Deno.stat(path).then(({ isDirectory }) => !isDirectory, () => false);
  const saved = savedFile(target);
  const word = !target.includes("/") && !await isFile(target);
  // A word that is too long for an interface may be the name of a file that sets one.
  const path = word && (isInterfaceName(target) || await isFile(saved)) ? saved : target;
  const stat = await Deno.stat(path).catch(() => null);
  if (stat?.isDirectory) throw new QuickError(`\`${path}' is a directory`);
  if (stat === null) {
    throw new QuickError(
      `\`${path}' does not exist`,
      path === target ? undefined : `there is neither a file "${target}" here nor ${path}`,
    );
  }
  const folder = await Deno.stat(folderOf(path));
  if (stat.isFile && ((stat.mode ?? 0) & (folder.mode ?? 0) & 0o007) !== 0) {
    warn(`Warning: \`${path}' is world accessible`);
  }
  return path;
}

/** The part of a file for `wg`, with the settings of each peer. */
export interface SourceConfig extends WgConfig {
  /** Without peers that have the interface's own key. */
  peers: (PeerConfig & PeerSettings)[];
}

/**
 * Reads the part that is for `wg`.
 *
 * @param running The private key of the running interface, for a file without one.
 * @throws {ConfigError} If a line is invalid.
 */
export async function parseSource(
  { path, config: { quick, wg: text, wgLines, settings } }: QuickSource,
  { warn = () => {} }: QuickRunOptions,
  running?: Key,
): Promise<SourceConfig> {
  const wg = parseWgConfig(text, { file: path, lines: wgLines, servicePort, warn });
  const { error, warning } = mtuPitfall(quick, wg, path);
  if (error) throw error;
  if (warning) warn(`Warning: ${warning}`);
  const privateKey = wg.privateKey ?? running;
  const ownKey = privateKey && await publicKeyOf(privateKey);
  const peers = wg.peers.map((peer, index) => ({ ...peer, ...settings.peers[index] })).filter((peer) => {
    if (!isOwnPeer(peer, ownKey)) return true;
    warn(`Warning: ${ownPeerError(peer, path).hint}`);
    return false;
  });
  return { ...wg, peers };
}

/**
 * Looks up a file's endpoints, all at once. If a name cannot be found, its peer has no endpoint for now. This is a
 * warning if the file has other peers.
 *
 * @param peers The peers to look up.
 * @param others How many other peers the file has.
 * @returns The address of each peer's endpoint; undefined if it has none, or its name cannot be found.
 * @throws {ConfigError} If an endpoint can never be used, or no peer is left.
 */
export async function lookUpEndpoints(
  peers: readonly PeerConfig[],
  { name, path }: QuickSource,
  { resolve = (endpoint) => resolveEndpoint(endpoint, { retries: RESOLUTION_RETRIES }), warn }:
    QuickRunOptions,
  others = 0,
): Promise<readonly (SocketAddress | undefined)[]> {
  const { addresses, failures } = await findEndpoints(
    peers,
    path,
    resolve,
    // A missing service does not appear later.
    (endpoint) => isNamed(endpoint) && parsePort(endpoint.port, servicePort) !== null,
  );
  const [first] = failures;
  if (first && failures.length >= peers.length + others) throw first;
  for (const { message, hint } of failures) {
    warn?.(
      `Warning: ${message}\nhint: ${hint}; the other peers come up; wgd's own WireGuard looks the name up again ` +
        `when something is sent to this one, with the kernel's: wgd quick reload ${name}`,
    );
  }
  return addresses;
}
