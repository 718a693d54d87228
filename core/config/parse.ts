/**
 * The .conf grammar: `wg`'s part (what `wg setconf` reads), and the file around it that `wg-quick` reads.
 *
 * @module
 */

import type { EndpointText } from "./endpoint.ts";
import type { Key } from "./key.ts";
import { parseDecimal, type ServicePort } from "./number.ts";
import { type AllowedIpChange, parsePrefix } from "./prefix.ts";
import {
  readAllowedIps,
  readEndpoint,
  readFwmark,
  readKeepalive,
  readKey,
  readListenPort,
  ValueError,
} from "./values.ts";

/** What a file says of an interface and its peers. What is absent was not in the file. */
export interface WgConfig {
  /** PrivateKey. */
  privateKey?: Key;
  /** ListenPort; 0 lets the system choose. */
  listenPort?: number;
  /** FwMark; 0 is off. */
  fwmark?: number;
  /** The [Peer] sections in order. */
  peers: PeerConfig[];
}

/** One [Peer] section. */
export interface PeerConfig {
  /** PublicKey. */
  publicKey: Key;
  /** PresharedKey. */
  presharedKey?: Key;
  /** Endpoint; its host may be a name. */
  endpoint?: EndpointText;
  /** The line that Endpoint was on, for messages about a name that cannot be found. */
  endpointLine?: number;
  /** PersistentKeepalive in seconds; 0 is off. */
  persistentKeepalive?: number;
  /** Whether AllowedIPs are all that the peer shall have; false if its last line had an item with `+` or `-`. */
  replaceAllowedIps: boolean;
  /** All AllowedIPs lines together. */
  allowedIps: AllowedIpChange[];
}

/** The keys that only `wg-quick` knows, as text where the system's own tools judge them. */
export interface QuickOptions {
  /** Address: each an IPv4 or IPv6 address, with or without a prefix length. */
  address: string[];
  /** DNS: the servers. */
  dns: string[];
  /** DNS: everything else, which are search domains. */
  dnsSearch: string[];
  /** MTU in bytes. */
  mtu?: number;
  /** Table: `auto`, `off`, or the number or name of a routing table. */
  table?: string;
  /** PreUp: shell commands, `%i` not yet replaced. */
  preUp: string[];
  /** PostUp. */
  postUp: string[];
  /** PreDown. */
  preDown: string[];
  /** PostDown. */
  postDown: string[];
  /** SaveConfig. */
  saveConfig: boolean;
}

/** A whole file, split into what `wg-quick` does itself and what it hands to `wg`. */
export interface QuickConfig {
  /** The keys of `wg-quick`. */
  quick: QuickOptions;
  /** All other lines, for `parseWgConfig`; what `wg-quick strip` prints. */
  wg: string;
  /** For each line of `wg`, its number in the file. */
  wgLines: number[];
}

/**
 * A line that cannot be used. The message is that of the original tool.
 *
 * @example
 * ```ts
 * import { ConfigError, parseConfig } from "@wgd/wgd";
 * import { throws } from "node:assert/strict";
 *
 * throws(
 *   () => parseConfig("[Interface]\nListenPort = x\n", { file: "wg0.conf" }),
 *   (error) => error instanceof ConfigError && error.hint.startsWith("hint: wg0.conf:2: ListenPort: found "),
 * );
 * ```
 */
export class ConfigError extends Error {
  /** Tells this kind of error from others. */
  override name = "ConfigError";

  /**
   * Makes the error; nothing is printed.
   *
   * @param message What the original prints.
   * @param file Name of the file, as given.
   * @param line Counted from 1; 0 if no line is to blame.
   * @param key The key or section concerned.
   * @param advice What was found, what was expected, and how to mend it.
   */
  constructor(
    message: string,
    readonly file: string,
    readonly line: number,
    readonly key: string,
    readonly advice: string,
  ) {
    super(message);
  }

  /** The line that follows the original's message: `hint: wg0.conf:3: PrivateKey: found …`. */
  get hint(): string {
    // Enough of a hostile line to know it by.
    const advice = this.advice.replace(/"([^"]{60})[^"]+"/g, '"$1…"');
    const key = this.key.length > 60 ? `${this.key.slice(0, 60)}…` : this.key;
    return `hint: ${this.file}:${this.line}: ${key}: ${advice}`;
  }
}

/** How to read a file. */
export interface ParseOptions {
  /**
   * Its name, for messages.
   * @default {"config"}
   */
  file?: string;
  /** Numbers of the lines, if they are not 1, 2, 3 (`QuickConfig.wgLines`). */
  lines?: readonly number[];
  /** Looks up service names that stand in place of a port. */
  servicePort?: ServicePort;
  /** Told of lines that are accepted but look wrong, in `wg`'s words. */
  warn?: (message: string) => void;
  /** Told of every line that cannot be used, in place of an end at the first; such lines are then passed over. */
  onError?: (error: ConfigError) => void;
}

/**
 * Reads what `wg setconf` reads.
 *
 * White space is dropped wherever it is, `#` begins a comment, names are of any case, sections of the same name add up.
 *
 * @throws {ConfigError} At the first line that `wg` would refuse.
 */
export function parseWgConfig(text: string, options: ParseOptions = {}): WgConfig {
  const reader = new Reader(options);
  splitLines(text).forEach((line, index) => reader.read(line, options.lines?.[index] ?? index + 1));
  return reader.finish();
}

/** A [Peer] section while it is read: its key may still come. */
type PeerDraft = Omit<PeerConfig, "publicKey"> & { publicKey?: Key; line: number };

class Reader {
  readonly #config: Omit<WgConfig, "peers"> = {};
  readonly #peers: PeerDraft[] = [];
  readonly #options: ParseOptions;
  readonly #file: string;
  #section: "interface" | PeerDraft | undefined;
  /** Behind a header that means nothing, until the next: its lines were said to be wrong with it. */
  #skipping = false;

  constructor(options: ParseOptions) {
    this.#options = options;
    this.#file = options.file ?? "config";
  }

  read(raw: string, number: number): void {
    const line = raw.replace(/[#\0].*$/s, "").replace(/[ \t-\r]+/g, "");
    if (line === "") return;
    const header = line.startsWith("[") ? asciiLower(line) : "";
    if (header !== "") this.#skipping = false;
    if (this.#skipping) return;
    if (header === "[interface]") {
      this.#section = "interface";
      return;
    }
    if (header === "[peer]") {
      this.#section = { replaceAllowedIps: true, allowedIps: [], line: number };
      this.#peers.push(this.#section);
      return;
    }
    const equals = line.indexOf("=");
    const key = equals < 0 ? line : line.slice(0, equals);
    const value = equals < 0 ? "" : line.slice(equals + 1);
    try {
      const known = value !== "" && this.#section !== undefined &&
        (this.#section === "interface"
          ? this.#readInterface(asciiLower(key), value)
          : this.#readPeer(this.#section, asciiLower(key), value, number));
      if (known) return;
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      return this.#fail(error.message, number, canonicalKey(key), error.advice);
    }
    const advice = adviseLine(line, key, value, this.#section);
    this.#skipping = header !== "";
    this.#fail(`Line unrecognized: \`${line}'`, number, canonicalKey(key), advice);
  }

  finish(): WgConfig {
    for (const peer of this.#peers) {
      if (peer.publicKey) continue;
      const advice = "found a section without PublicKey, expected one: it is the peer's name; " +
        "add it, or take the section away";
      this.#fail("A peer is missing a public key", peer.line, "[Peer]", advice);
    }
    const peers = this.#peers.filter(({ publicKey }) => publicKey).map(({ line: _line, ...peer }) =>
      peer as PeerConfig
    );
    return { ...this.#config, peers };
  }

  #fail(message: string, line: number, key: string, advice: string): void {
    const error = new ConfigError(message, this.#file, line, key, advice);
    if (!this.#options.onError) throw error;
    this.#options.onError(error);
  }

  #readInterface(key: string, value: string): boolean {
    switch (key) {
      case "listenport":
        this.#config.listenPort = readListenPort(value, this.#options.servicePort);
        return true;
      case "fwmark":
        this.#config.fwmark = readFwmark(value);
        return true;
      case "privatekey":
        this.#config.privateKey = readKey(value);
        return true;
      default:
        return false;
    }
  }

  #readPeer(peer: PeerDraft, key: string, value: string, line: number): boolean {
    switch (key) {
      case "endpoint":
        peer.endpoint = readEndpoint(value);
        peer.endpointLine = line;
        return true;
      case "publickey":
        peer.publicKey = readKey(value);
        return true;
      case "allowedips": {
        const { replace, changes } = readAllowedIps(value, (message) => this.#options.warn?.(message));
        // The last line decides; wg sets the flag anew for each.
        peer.replaceAllowedIps = replace;
        for (const change of changes) peer.allowedIps.push(change);
        return true;
      }
      case "persistentkeepalive":
        peer.persistentKeepalive = readKeepalive(value);
        return true;
      case "presharedkey":
        peer.presharedKey = readKey(value);
        return true;
      default:
        return false;
    }
  }
}

/**
 * Splits a file as `wg-quick` does. Its keys count only in `[Interface]`; comments, sections and everything unknown is
 * left for `wg`.
 *
 * @param text The whole file.
 * @throws {ConfigError} If the value of one of its own keys cannot be used.
 */
export function parseQuickConfig(
  text: string,
  { file = "config", onError }: Pick<ParseOptions, "file" | "onError"> = {},
): QuickConfig {
  const quick: QuickOptions = {
    address: [],
    dns: [],
    dnsSearch: [],
    preUp: [],
    postUp: [],
    preDown: [],
    postDown: [],
    saveConfig: false,
  };
  const wg: string[] = [];
  const wgLines: number[] = [];
  let inInterface = false;
  splitLines(text).forEach((raw, index) => {
    // bash's read drops blanks at both ends, and NUL bytes everywhere.
    const line = trim(raw.replaceAll("\0", ""), isBlank);
    const stripped = line.replace(/#.*$/s, "");
    const key = trim(stripped.replace(/=.*$/s, ""));
    if (key.startsWith("[")) inInterface = asciiLower(key) === "[interface]";
    const entry: Entry = {
      key: asciiLower(key),
      value: trim(stripped.slice(stripped.indexOf("=") + 1)),
      whole: trim(line.slice(line.indexOf("=") + 1)),
      fail: (message, advice) => new ConfigError(message, file, index + 1, canonicalKey(key), advice),
    };
    try {
      if (inInterface && readQuickOption(quick, entry)) return;
    } catch (error) {
      if (!onError || !(error instanceof ConfigError)) throw error;
      return onError(error);
    }
    wg.push(line);
    wgLines.push(index + 1);
  });
  return { quick, wg: wg.map((line) => `${line}\n`).join(""), wgLines };
}

interface Entry {
  /** In lower case. */
  readonly key: string;
  readonly value: string;
  /** The value with what would be a comment elsewhere: shell commands keep their "#". */
  readonly whole: string;
  readonly fail: (message: string, advice: string) => ConfigError;
}

function readQuickOption(quick: QuickOptions, { key, value, whole, fail }: Entry): boolean {
  switch (key) {
    case "address":
      for (const word of words(value)) {
        if (parsePrefix(word) === null) {
          const advice = `found "${word}", expected an address such as 10.0.0.2/24 or fd00::2/64`;
          throw fail(`Unable to parse IP address: \`${word}'`, advice);
        }
        quick.address.push(word);
      }
      return true;
    case "mtu": {
      delete quick.mtu;
      if (value === "") return true;
      const mtu = parseDecimal(value, 65535);
      if (mtu === null) {
        throw fail(
          `Unable to parse MTU: \`${value}'`,
          `found "${value}", expected bytes, usually 1280 to 1420`,
        );
      }
      quick.mtu = mtu;
      return true;
    }
    case "dns":
      for (const word of words(value)) {
        if (/^[0-9.]+$/.test(word) || word.includes(":")) quick.dns.push(word);
        else quick.dnsSearch.push(word);
      }
      return true;
    case "table":
      delete quick.table;
      if (value !== "") quick.table = value;
      return true;
    case "preup":
      quick.preUp.push(whole);
      return true;
    case "postup":
      quick.postUp.push(whole);
      return true;
    case "predown":
      quick.preDown.push(whole);
      return true;
    case "postdown":
      quick.postDown.push(whole);
      return true;
    case "saveconfig": {
      const word = asciiLower(value);
      if (word !== "true" && word !== "false") {
        throw fail(`\`${value}' is neither true nor false`, `found "${value}", expected true or false`);
      }
      quick.saveConfig = word === "true";
      return true;
    }
    default:
      return false;
  }
}

const INTERFACE_KEYS = ["ListenPort", "FwMark", "PrivateKey"];
const PEER_KEYS = ["PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "PersistentKeepalive"];
const QUICK_KEYS = [
  "Address",
  "DNS",
  "MTU",
  "Table",
  "PreUp",
  "PostUp",
  "PreDown",
  "PostDown",
  "SaveConfig",
];
const ALL_KEYS = [...INTERFACE_KEYS, ...PEER_KEYS, ...QUICK_KEYS];

/** A known key as the manual spells it, any other as it was written. */
function canonicalKey(key: string): string {
  const lower = asciiLower(key);
  return ALL_KEYS.find((known) => known.toLowerCase() === lower) ?? key;
}

function adviseLine(
  line: string,
  key: string,
  value: string,
  section: "interface" | PeerDraft | undefined,
): string {
  const name = canonicalKey(key);
  if (line.startsWith("[")) return `found the section "${line}", expected [Interface] or [Peer]`;
  if (section === undefined) {
    return `found "${key}" before any section, expected [Interface] or [Peer] on a line above it`;
  }
  const [here, there, header, other] = section === "interface"
    ? [INTERFACE_KEYS, PEER_KEYS, "[Interface]", "[Peer]"]
    : [PEER_KEYS, INTERFACE_KEYS, "[Peer]", "[Interface]"];
  if (here.includes(name)) {
    return line.includes("=")
      ? `found no value, expected one behind the "="; take the line away if it is not needed`
      : `found no "=", expected "${name} = VALUE"`;
  }
  if (there.includes(name)) return `found it in ${header}, expected it in ${other}; move the line there`;
  if (QUICK_KEYS.includes(name)) {
    return section === "interface"
      ? `found a key of wg-quick, expected one of ${
        here.join(", ")
      }; bring the file up with "wgd quick up", ` +
        `or take such keys out with "wgd quick strip"`
      : `found it in [Peer], expected it in [Interface]; move the line there`;
  }
  const near = nearest(name, [...here, ...(section === "interface" ? QUICK_KEYS : [])]);
  const found = value === "" ? `found "${line}"` : `found the key "${key}"`;
  return near ? `${found}; did you mean ${near}?` : `${found}, expected one of ${here.join(", ")}`;
}

/**
 * The word that is closest to what was typed, if it is close enough to be meant: at most a third of it differs.
 *
 * @param typed Compared without regard to case.
 */
export function nearest(typed: string, candidates: readonly string[]): string | undefined {
  // Nobody misspells a word into a line; and the distance of long ones takes long to find.
  if (typed.length > 40) return undefined;
  let best: string | undefined;
  let bestDistance = Math.floor(Math.max(3, typed.length) / 3) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(typed.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Letters to add, drop, change, or swap with their neighbour to get from one word to the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/** Lines without their newlines; a byte order mark before the first is dropped, which `wg` would stumble over. */
function splitLines(text: string): string[] {
  const lines = (text.startsWith("\ufeff") ? text.slice(1) : text).split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Words between blanks and commas. */
function words(value: string): string[] {
  return value.split(/[ \t\n,]+/).filter((word) => word !== "");
}

/** Drops white space at both ends. (A pattern anchored at the end would take quadratic time on hostile lines.) */
function trim(text: string, isSpace: (code: number) => boolean = isWhite): string {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** White space as C has it. */
function isWhite(code: number): boolean {
  return code === 0x20 || code >= 9 && code <= 13;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 9;
}

/** Lower case as in the C locale: text with other letters is left as it is, and is no name of ours anyway. */
function asciiLower(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text.toLowerCase() : text;
}
