/**
 * Settings that only wgd reads. They are comments, `# wgd: KEY = VALUE`, so that other tools can use the file as well.
 *
 * A new setting is one line in `SETTINGS`, and one in the manual (config.md).
 *
 * @module
 */

import { readBackend } from "./backend.ts";
import { ConfigError } from "./config_error.ts";
import { type Feature, FeatureError, parseFeatures } from "./features.ts";
import { isPossibleName, whyNoName } from "./interface_name.ts";
import { type LaneCount, LANES_EXPECTED, parseLanes } from "./lanes.ts";
import { asciiLower, stripLine, trim } from "./lines.ts";
import { nearest } from "./nearest.ts";
import {
  readFamily,
  readForward,
  readListening,
  readPortForward,
  readReverse,
  readUdpReverse,
} from "./proxy_rules.ts";
import { ValueError } from "./values.ts";

/** How a setting is read. */
interface Setting {
  /**
   * Reads a value that is not empty.
   *
   * @throws {ValueError} If it is invalid.
   */
  readonly read: (value: string) => unknown;
  /** Whether it can be set for one peer, in its section or directly above it. */
  readonly perPeer?: boolean;
  /** Whether it is a list to which each line adds. Of any other setting, the last line counts. */
  readonly addsUp?: boolean;
}

/** All settings, by their keys as the manual spells them. */
const SETTINGS = {
  /** The name of the interface, in place of the file's. */
  Interface: { read: interfaceName },
  /** The backend of the interface. */
  Backend: { read: readBackend },
  /** The server's endpoint for clients, for `wgd peer add`. */
  Endpoint: { read: anyText },
  /** The DNS line of new clients, for `wgd peer add`. */
  ClientDNS: { read: anyText },
  /** Whether an endpoint given by name is looked up again when its peer does not answer. */
  ResolveEndpoints: { read: onOrOff, perPeer: true },
  /** Whether to restore what other programs remove. */
  Repair: { read: onOrOff },
  /** Features of the interface's process to turn off. */
  Disable: { read: features, addsUp: true },
  /** Where `wgd proxy` listens for SOCKS5. The next seven are also settings of `wgd proxy`. */
  Socks5: list(readListening),
  Http: list(readListening),
  Sni: list(readListening),
  Forward: list(readForward),
  ForwardUdp: list(readPortForward),
  Reverse: list(readReverse),
  ReverseUdp: list(readUdpReverse),
  Health: list(readListening),
  /** A file with the user and password that `wgd proxy` requires. */
  Credentials: { read: anyText },
  /** The address family that `wgd proxy` tries first. */
  Prefer: { read: readFamily },
  /** The maximum number of additional threads that encrypt and decrypt packets. */
  Lanes: { read: lanes },
} as const satisfies Readonly<Record<string, Setting>>;

/** The keys of all settings, as the manual spells them. */
export const SETTING_KEYS: readonly string[] = Object.keys(SETTINGS);

type SettingsTable = typeof SETTINGS;
type ValueOf<Key extends keyof SettingsTable> = ReturnType<SettingsTable[Key]["read"]>;
type PerPeer<Key extends keyof SettingsTable> = SettingsTable[Key] extends { perPeer: true } ? Key : never;

/** The settings of one peer. A setting that the file does not contain is absent. */
export type PeerSettings = {
  [Key in keyof SettingsTable as Uncapitalize<PerPeer<Key>>]?: ValueOf<Key>;
};

/** The settings of a file. A setting that the file does not contain is absent. */
export type Settings =
  & { [Key in keyof SettingsTable as Uncapitalize<Key>]?: ValueOf<Key> }
  & {
    /** For each `[Peer]` section, in order. */
    peers: PeerSettings[];
  };

/** Where errors and warnings go, as in `ParseOptions`. */
export interface SettingsOptions {
  readonly file?: string;
  readonly warn?: ((message: string) => void) | undefined;
  readonly onError?: ((error: ConfigError) => void) | undefined;
}

/**
 * Reads the settings of a file. A setting that exists for single peers belongs to a peer if it is in its `[Peer]`
 * section or directly above it, else to the whole file. All others belong to the file, wherever they are. An empty
 * value removes a setting of an earlier line.
 *
 * @param lines The whole file, line by line.
 * @throws {ConfigError} At the first invalid value, unless there is `onError`.
 */
export function readSettings(lines: readonly string[], options: SettingsOptions = {}): Settings {
  const settings: Settings = { peers: [] };
  let section: PeerSettings | undefined;
  /** Settings in comments directly above the current line. They belong to a `[Peer]` section that begins there. */
  let pending: Assignment[] = [];
  const assign = (to: object) => {
    for (const { key, read } of pending) read(to, key);
    pending = [];
  };
  lines.forEach((raw, index) => {
    const line = trim(raw);
    if (line.startsWith("#")) {
      const assignment = readAssignment(line, index + 1, options);
      if (assignment?.perPeer) pending.push(assignment);
      else assignment?.read(settings, assignment.key);
      return;
    }
    const header = line.startsWith("[") ? asciiLower(stripLine(line)) : "";
    if (header !== "[peer]") assign(section ?? settings);
    if (header === "") return;
    section = header === "[peer]" ? {} : undefined;
    if (!section) return;
    settings.peers.push(section);
    assign(section);
  });
  assign(section ?? settings);
  return settings;
}

/** One line, which is applied when its owner is known. */
interface Assignment {
  readonly key: string;
  readonly perPeer: boolean;
  readonly read: (to: object, key: string) => void;
}

/** Reads a comment; undefined if it is not a setting, or an error was reported. */
function readAssignment(
  comment: string,
  line: number,
  { file = "config", warn, onError }: SettingsOptions,
): Assignment | undefined {
  const prefix = /^#[ \t]*wgd:/i.exec(comment)?.[0];
  if (prefix === undefined) return undefined;
  const text = trim(comment.slice(prefix.length).replace(/[ \t]#.*$/s, ""));
  const equals = text.indexOf("=");
  const word = trim(equals < 0 ? /^\w*/.exec(text)![0] : text.slice(0, equals));
  // Any other comment may begin with these letters as well.
  if (!/^\w+$/.test(word)) return undefined;
  const name = SETTING_KEYS.find((known) => known.toLowerCase() === word.toLowerCase());
  if (name === undefined) {
    if (equals < 0) return undefined;
    const near = nearest(word, SETTING_KEYS);
    const advice = near ? `did you mean ${near}?` : `expected one of ${SETTING_KEYS.join(", ")}`;
    warn?.(`Warning: ${file}:${line}: "${word}" is not a setting of wgd: ${advice}`);
    return undefined;
  }
  if (equals < 0) {
    warn?.(`Warning: ${file}:${line}: ${name}: found no "=", expected "# wgd: ${name} = VALUE"`);
    return undefined;
  }
  const value = trim(text.slice(equals + 1));
  const { read, perPeer = false, addsUp = false }: Setting = SETTINGS[name as keyof SettingsTable];
  return {
    key: name[0]!.toLowerCase() + name.slice(1),
    perPeer,
    read: (to, key) => {
      const values = to as Record<string, unknown>;
      if (value === "") return void delete values[key];
      try {
        const found = read(value);
        values[key] = addsUp ? [...values[key] as unknown[] ?? [], ...found as unknown[]] : found;
      } catch (error) {
        if (!(error instanceof ValueError)) throw error;
        const failure = new ConfigError(error.message, file, line, name, error.advice);
        if (!onError) throw failure;
        onError(failure);
      }
    },
  };
}

/** A setting of which every line adds one value. */
function list<Value>(read: (text: string) => Value) {
  return { read: (text: string): readonly Value[] => [read(text)], addsUp: true } as const;
}

function anyText(value: string): string {
  return value;
}

function interfaceName(value: string): string {
  if (isPossibleName(value)) return value;
  const expected = "expected up to 15 letters, digits and _ = + . -";
  throw new ValueError(`Not the name of an interface: \`${value}'`, `${whyNoName(value)}; ${expected}`);
}

function onOrOff(value: string): boolean {
  if (/^(on|off)$/i.test(value)) return value.toLowerCase() === "on";
  throw new ValueError(`\`${value}' is neither on nor off`, `found "${value}", expected on or off`);
}

function lanes(value: string): LaneCount {
  const count = parseLanes(value);
  if (count !== undefined) return count;
  throw new ValueError(`\`${value}' is not a number of lanes`, `found "${value}", ${LANES_EXPECTED}`);
}

function features(value: string): readonly Feature[] {
  try {
    return parseFeatures(value);
  } catch (error) {
    if (!(error instanceof FeatureError)) throw error;
    throw new ValueError(error.message, error.hint);
  }
}
