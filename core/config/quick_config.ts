/**
 * The grammar of `wg-quick`: its own keys, the lines that it passes to `wg`, and the settings that only wgd reads.
 *
 * @module
 */

import { ConfigError } from "./config_error.ts";
import { canonicalKey } from "./file_keys.ts";
import { asciiLower, isBlank, splitLines, splitList, trim } from "./lines.ts";
import { parseDecimal } from "./number.ts";
import { parsePrefix } from "./prefix.ts";
import { readSettings, type Settings } from "./settings.ts";
import { ValueError } from "./values.ts";
import type { ParseOptions } from "./wg_config.ts";

/** The keys that only `wg-quick` knows. Values that the system's tools check are kept as text. */
export interface QuickOptions {
  /** Address: each an IPv4 or IPv6 address, with or without a prefix length. */
  address: string[];
  /** DNS: the servers. */
  dns: string[];
  /** DNS: search domains, which is everything that is not an address. */
  dnsSearch: string[];
  /** MTU in bytes. */
  mtu?: number;
  /** The line that MTU was on, for messages. */
  mtuLine?: number;
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

/** The smallest MTU of a link with IPv4 (RFC 791, section 3.2). */
const IPV4_MIN_MTU = 68;

/** A whole file, split into the keys of `wg-quick` and the lines that it passes to `wg`. */
export interface QuickConfig {
  /** The keys of `wg-quick`. */
  quick: QuickOptions;
  /** All other lines, for `parseWgConfig`; what `wg-quick strip` prints. */
  wg: string;
  /** For each line of `wg`, its number in the file. */
  wgLines: number[];
  /** What comments of the form `# wgd: KEY = VALUE` set. */
  settings: Settings;
}

/**
 * Splits a file as `wg-quick` does. Its keys count in `[Interface]` only. Comments, section headers and all other lines
 * are left for `wg`.
 *
 * @param text The whole file.
 * @throws {ConfigError} If one of these keys, or a setting of wgd, has an invalid value.
 */
export function parseQuickConfig(
  text: string,
  { file = "config", onError, warn }: Pick<ParseOptions, "file" | "onError" | "warn"> = {},
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
  // bash's read removes spaces at both ends, and NUL bytes everywhere.
  const lines = splitLines(text).map((raw) => trim(raw.replaceAll("\0", ""), isBlank));
  lines.forEach((line, index) => {
    const stripped = line.replace(/#.*$/s, "");
    const key = trim(stripped.replace(/=.*$/s, ""));
    if (key.startsWith("[")) inInterface = asciiLower(key) === "[interface]";
    const value = trim(stripped.slice(stripped.indexOf("=") + 1));
    // Shell commands keep their "#".
    const command = trim(line.slice(line.indexOf("=") + 1));
    try {
      if (inInterface && readQuickOption(quick, asciiLower(key), value, command)) {
        if (asciiLower(key) === "mtu") quick.mtuLine = index + 1;
        return;
      }
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      const failure = new ConfigError(error.message, file, index + 1, canonicalKey(key), error.advice);
      if (!onError) throw failure;
      return onError(failure);
    }
    wg.push(line);
    wgLines.push(index + 1);
  });
  const settings = readSettings(lines, { file, onError, warn });
  return { quick, wg: wg.map((line) => `${line}\n`).join(""), wgLines, settings };
}

/**
 * Reads a key of `wg-quick`.
 *
 * @param key In lower case.
 * @param command The value including a "#" and what follows it.
 * @returns Whether it is a key of `wg-quick`.
 * @throws {ValueError} If the value is invalid.
 */
function readQuickOption(quick: QuickOptions, key: string, value: string, command: string): boolean {
  switch (key) {
    case "address":
      quick.address.push(...splitList(value).map(readAddress));
      return true;
    case "mtu":
      delete quick.mtu;
      if (value !== "") quick.mtu = readMtu(value);
      return true;
    case "dns":
      for (const word of splitList(value)) {
        if (/^[0-9.]+$/.test(word) || word.includes(":")) quick.dns.push(word);
        else quick.dnsSearch.push(word);
      }
      return true;
    case "table":
      delete quick.table;
      if (value !== "") quick.table = value;
      return true;
    case "preup":
      quick.preUp.push(command);
      return true;
    case "postup":
      quick.postUp.push(command);
      return true;
    case "predown":
      quick.preDown.push(command);
      return true;
    case "postdown":
      quick.postDown.push(command);
      return true;
    case "saveconfig":
      quick.saveConfig = readBoolean(value);
      return true;
    default:
      return false;
  }
}

function readAddress(text: string): string {
  if (parsePrefix(text) !== null) return text;
  throw new ValueError(
    `Unable to parse IP address: \`${text}'`,
    `found "${text}", expected an address such as 10.0.0.2/24 or fd00::2/64`,
  );
}

function readMtu(text: string): number {
  const mtu = parseDecimal(text, 65535);
  if (mtu !== null && mtu >= IPV4_MIN_MTU) return mtu;
  throw new ValueError(
    `Unable to parse MTU: \`${text}'`,
    `found "${text}", expected bytes, usually 1280 to 1420`,
  );
}

function readBoolean(text: string): boolean {
  const word = asciiLower(text);
  if (word === "true" || word === "false") return word === "true";
  throw new ValueError(`\`${text}' is neither true nor false`, `found "${text}", expected true or false`);
}
