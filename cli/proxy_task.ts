/**
 * The task of `wgd proxy`, from its options and from the file, which may be a file of wireproxy.
 *
 * @module
 */

import { type Config, parseConfig } from "../core/config/format.ts";
import { proxyNameOf, requireName } from "../core/config/interface_name.ts";
import { splitLines } from "../core/config/lines.ts";
import {
  type Credentials,
  type Family,
  formatListening,
  isLocal,
  type Listening,
  readCredentials,
  readForward,
  readListening,
  readPortForward,
  readReverse,
  readTarget,
  readUdpReverse,
  type Target,
  type UdpForward,
} from "../core/config/proxy_rules.ts";
import { readSettings, type Settings } from "../core/config/settings.ts";
import { ValueError } from "../core/config/values.ts";
import { folderOf, readConfigFile } from "../core/config_file.ts";
import { passedOver } from "../core/net/passed_over.ts";
import { type HealthRules, NO_RULES, type ProxyListener, type ProxyRules } from "../core/proxy/rules.ts";
import {
  isWireproxyFile,
  parseWireproxy,
  routeEverything,
  type WireproxyFile,
} from "../core/proxy/wireproxy.ts";
import { decodeText, readBytes } from "./input.ts";

/** The options of the command line. */
export interface ProxyValues {
  socks5?: string[];
  http?: string[];
  sni?: string[];
  forward?: string[];
  "forward-udp"?: string[];
  reverse?: string[];
  "reverse-udp"?: string[];
  credentials?: string;
  stdio?: string;
  health?: string[];
  interface?: string;
}

/** The task. */
export interface ProxyTask {
  /** The file of the configuration, for errors. */
  readonly file: string;
  /** The settings in comments of the file. */
  readonly settings: Settings;
  readonly config: Config;
  /** The tunnel's name. */
  readonly name: string;
  readonly rules: ProxyRules;
  readonly health: HealthRules;
  /** The address family that is tried first for names that have both. */
  readonly prefer: Family | undefined;
  /** The target of standard input and output, if they are connected. */
  readonly stdio: Target | undefined;
}

/** The options that make a proxy listen. */
const LISTENING = [
  "socks5",
  "http",
  "sni",
  "forward",
  "forward-udp",
  "reverse",
  "reverse-udp",
  "health",
] as const;

/**
 * Reads the file and the options.
 *
 * @param warn Called with settings that have no effect or are dangerous.
 * @throws {ConfigError} If a line of the file is invalid.
 * @throws {ValueError} If an option is invalid.
 * @throws {FileError} If the file cannot be read.
 */
export async function readProxyTask(
  file: string,
  values: ProxyValues,
  warn: (line: string) => void,
): Promise<ProxyTask> {
  const { text } = await readConfigFile(file);
  const source = await readSource(file, text, warn);
  const settings = readSettings(splitLines(text), { file, warn });
  const alone = values.stdio !== undefined;
  if (alone && LISTENING.some((key) => values[key] !== undefined)) {
    throw new ValueError(
      "--stdio cannot be used with options that listen",
      "start another proxy for these",
    );
  }
  const credentials = await readPassword(file, values, settings);
  const all = allRules(values, settings, source.theirs, credentials);
  const health = {
    health: unique([...(values.health ?? []).map(readListening), ...settings.health ?? []], formatListening),
    ...(source.alive && { alive: source.alive }),
  };
  if (!alone) {
    for (const line of passedOver(source.config)) warn(`Warning: ${source.file}: ${line}`);
    warnOfSilence(source, warn);
    warnOfExposure(all, warn);
  }
  return {
    file: source.file,
    settings,
    config: source.config,
    name: nameOf(file, values, settings),
    rules: alone ? NO_RULES : all,
    prefer: settings.prefer ?? source.theirs?.prefer,
    health: alone ? { health: [] } : health,
    stdio: values.stdio === undefined ? source.theirs?.stdio : readTarget(values.stdio),
  };
}

/** Whether a task has anything to listen to. */
export function listens({ rules, health: { health } }: ProxyTask): boolean {
  return [...Object.values(rules), health].some((list) => list.length > 0);
}

interface Source {
  readonly file: string;
  readonly config: Config;
  readonly theirs?: WireproxyFile;
  readonly alive?: HealthRules["alive"];
}

/** The configuration of the tunnel, which a file of wireproxy may have in another file. */
async function readSource(file: string, text: string, warn: (line: string) => void): Promise<Source> {
  if (!isWireproxyFile(text)) return { file, config: parseConfig(text, { file }) };
  const variable = (name: string) => Deno.env.get(name);
  const theirs = parseWireproxy(text, file, variable);
  for (const line of theirs.passedOver) warn(`Warning: ${line}`);
  if (theirs.wgConfig === undefined) return theirsIn(file, theirs, theirs);
  const { wgConfig } = theirs;
  // A name without a folder is that of a file beside this one.
  const path = wgConfig.includes("/") ? wgConfig : `${folderOf(file)}/${wgConfig}`;
  return theirsIn(path, parseWireproxy((await readConfigFile(path)).text, path, variable), theirs);
}

function theirsIn(file: string, { wireguard, alive }: WireproxyFile, theirs: WireproxyFile): Source {
  return { file, config: routeEverything(parseConfig(wireguard, { file })), theirs, ...(alive && { alive }) };
}

async function readPassword(
  file: string,
  values: ProxyValues,
  settings: Settings,
): Promise<Credentials | undefined> {
  const { credentials } = settings;
  const beside = credentials === undefined || credentials.startsWith("/")
    ? credentials
    : `${folderOf(file)}/${credentials}`;
  const path = values.credentials ?? beside;
  return path === undefined ? undefined : readCredentials(decodeText(await readBytes(path)).text);
}

function nameOf(file: string, values: ProxyValues, settings: Settings): string {
  if (values.interface !== undefined) requireName(values.interface);
  return values.interface ?? settings.interface ?? proxyNameOf(file);
}

function allRules(
  values: ProxyValues,
  settings: Settings,
  theirs: WireproxyFile | undefined,
  credentials: Credentials | undefined,
): ProxyRules {
  const ours = (words: string[] = [], lines: readonly Listening[] = []): ProxyListener[] =>
    unique([...words.map(readListening), ...lines], formatListening).map((at) => ({
      at,
      ...(credentials && { credentials }),
    }));
  // Each section of a file of wireproxy has its own user and password.
  const withOption = (listener: ProxyListener): ProxyListener =>
    values.credentials !== undefined && credentials ? { ...listener, credentials } : listener;
  return {
    socks5: [...ours(values.socks5, settings.socks5), ...(theirs?.rules.socks5 ?? []).map(withOption)],
    http: [...ours(values.http, settings.http), ...(theirs?.rules.http ?? []).map(withOption)],
    sni: merged(values.sni, listenerAt, settings.sni?.map((at) => ({ at })), theirs?.rules.sni),
    forwards: merged(values.forward, readForward, settings.forward, theirs?.rules.forwards),
    udpForwards: merged<UdpForward>(
      values["forward-udp"],
      readPortForward,
      settings.forwardUdp,
      theirs?.rules.udpForwards,
    ),
    reverses: merged(values.reverse, readReverse, settings.reverse, theirs?.rules.reverses),
    udpReverses: merged(values["reverse-udp"], readUdpReverse, settings.reverseUdp),
  };
}

function listenerAt(word: string): ProxyListener {
  return { at: readListening(word) };
}

function merged<Rule>(
  words: readonly string[] | undefined,
  read: (word: string) => Rule,
  ...lists: (readonly Rule[] | undefined)[]
): Rule[] {
  return unique([...(words ?? []).map(read), ...lists.flatMap((list) => list ?? [])], JSON.stringify);
}

/** A rule that is both on the command line and in the file is used once. */
function unique<T>(list: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(list.map((item) => [key(item), item])).values()];
}

/** Nobody could begin: we do not know an address of a peer, and no peer knows our port. */
function warnOfSilence({ file, config: { peers, listenPort } }: Source, warn: (line: string) => void): void {
  if (listenPort || peers.some(({ endpoint }) => endpoint)) return;
  warn(`Warning: ${file}: no peer can be reached, because none has an Endpoint and there is no ListenPort`);
  warn("hint: add a line such as Endpoint = vpn.example.com:51820 to the server's [Peer]");
}

function warnOfExposure({ socks5, http, sni }: ProxyRules, warn: (line: string) => void): void {
  const warnOf = (listeners: readonly ProxyListener[], otherwise: string) => {
    for (const { at, credentials } of listeners) {
      if (credentials || isLocal(at)) continue;
      warn(`Warning: anyone who can reach ${formatListening(at)} can use the tunnel`);
      warn(`hint: listen on 127.0.0.1, or ${otherwise}`);
    }
  };
  warnOf([...socks5, ...http], "require a password: --credentials FILE with user:password in it");
  warnOf(sni, "let a firewall decide who can reach it, because TLS has no password");
}
