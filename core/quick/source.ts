/**
 * The file behind an interface: found, read, its endpoints looked up.
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

/** Retries for a name that cannot be looked up for now, as many as `wg` makes. */
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
   * @param message What went wrong, in wg-quick's words where it has such a message.
   * @param hint What to do about it; undefined if the message is enough.
   * @param options.cause The error behind it, such as the interface's refusal.
   */
  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** How `quickUp` and `quickDown` do their work. */
export interface QuickRunOptions {
  /**
   * Name of the interface; by default what the file sets by `# wgd: Interface = NAME`, else the file's own name.
   */
  readonly interfaceName?: string;
  /** Told of each step before it is done; silent by default. */
  readonly announce?: (step: string) => void;
  /** Told of what looks wrong but works; silent by default. */
  readonly warn?: (text: string) => void;
  /**
   * Which WireGuard runs the interface that `quickUp` makes: the kernel's, a process of wgd's, or the kernel's if the
   * kernel makes one, else a process. It goes before what the file says.
   * @default {"auto"}
   */
  readonly backend?: Backend;
  /**
   * Program that makes an interface of wgd's: called with the interface's name behind these words.
   * @default {["wgd", "run"]}
   */
  readonly creator?: readonly string[];
  /** Whether `quickDown` goes on, with a warning, if a hook fails or the file cannot be saved. */
  readonly force?: boolean;
  /** The command line of wgd. Hooks get `wg`, `wg-quick` and `wgd` by it, where the machine does not have them. */
  readonly self?: readonly string[];
  /**
   * Program that repairs an interface whose file says `# wgd: Repair = on`: called with the interface's name behind
   * these words.
   * @default {["wgd", "quick", "watch"]}
   */
  readonly watcher?: readonly string[];
  /** Only announces what would be done. */
  readonly dryRun?: boolean;
  /**
   * Makes the interface in place of the creator, which then appears only in messages; resolves when it can be used.
   *
   * It gets the interface's name and what goes into its environment, and returns 0, or the exit code of what failed.
   */
  readonly create?: (name: string, env: Readonly<Record<string, string>>) => Promise<number>;
  /** Finds the address of an endpoint. */
  readonly resolve?: (endpoint: EndpointText) => Promise<SocketAddress>;
  /**
   * Whether an endpoint that the file gives by name is looked up again when its peer does not answer, unless the file
   * says `# wgd: ResolveEndpoints = off`. Only interfaces of wgd's own do that.
   * @default {true}
   */
  readonly resolveEndpoints?: boolean;
  /** Aborting it ends `quickUp` and the program it runs, and undoes what was done; `quickDown` can be called again. */
  readonly signal?: AbortSignal;
}

/** A configuration file, read. */
export interface QuickSource {
  /** Name of the interface. */
  readonly name: string;
  /** The file. */
  readonly path: string;
  /** All of it. */
  readonly text: string;
  /** What it says. */
  readonly config: QuickConfig;
  /** Encodes parts of it as the file's bytes. */
  readonly encode: Text["encode"];
}

/**
 * Finds and reads a file: the one of that name, or the one for that interface in /etc/wireguard.
 *
 * @throws {QuickError} If there is no such file, or its interface has no name.
 * @throws {FileError} If it cannot be read.
 * @throws {ConfigError} If a key of wg-quick's has a value that cannot be used.
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
  // Another kind of file has no such name either, so its kind is reported first.
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
  // A word that is too long for an interface may be the name of a file that names one.
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

/** The part of a file that is for `wg`, with what the file sets for each peer. */
export interface SourceConfig extends WgConfig {
  /** Without peers that have the interface's own key. */
  peers: (PeerConfig & PeerSettings)[];
}

/**
 * Reads the part that is for `wg`.
 *
 * @param running The private key of the running interface, for a file without one.
 * @throws {ConfigError} If a line cannot be used.
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
 * Looks a file's endpoints up, all at once. If a name cannot be found, its peer stays without an endpoint for now. That
 * is a warning as long as the file has other peers.
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
    // A service that does not exist will not exist later.
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
