/**
 * Configuration files of wireproxy: a WireGuard configuration, or the name of its file (`WGConfig`), with sections that
 * configure the proxy.
 *
 * @module
 */

import { parseAddress } from "../config/address.ts";
import { ConfigError } from "../config/config_error.ts";
import type { Config } from "../config/format.ts";
import { parsePrefix } from "../config/prefix.ts";
import {
  type Credentials,
  type Family,
  type Forward,
  type PortListening,
  readFamily,
  readPortListening,
  readTarget,
  type Reverse,
  type Target,
  type UdpForward,
} from "../config/proxy_rules.ts";
import { ValueError } from "../config/values.ts";
import type { AliveCheck, ProxyListener, ProxyRules } from "./rules.ts";

/** The contents of a file of wireproxy. */
export interface WireproxyFile {
  /** The WireGuard configuration. The proxy's lines are replaced by blank lines, so that line numbers do not change. */
  readonly wireguard: string;
  /** The name of the file with that configuration, if it is not in this file. */
  readonly wgConfig: string | undefined;
  readonly rules: ProxyRules;
  readonly stdio: Target | undefined;
  /** The address family that is tried first, if the file sets it. */
  readonly prefer: Family | undefined;
  /** Hosts that must answer pings. */
  readonly alive: AliveCheck | undefined;
  /** Settings that have no effect, each with its line. */
  readonly passedOver: readonly string[];
}

const SECTIONS = [
  "socks5",
  "http",
  "tcpclienttunnel",
  "tcpservertunnel",
  "stdiotunnel",
  "udpproxytunnel",
  "sni",
  "resolve",
];
/** Seconds between two pings, as in wireproxy. */
const ALIVE_INTERVAL = 5;

interface Line {
  readonly number: number;
  /** In lower case. */
  readonly key: string;
  readonly value: string;
}

interface Section {
  readonly name: string;
  readonly line: number;
  readonly lines: Line[];
}

/** Looks up an environment variable. */
type Variable = (name: string) => string | undefined;

/** Whether a file is for wireproxy: it has a section or a key that only wireproxy knows. */
export function isWireproxyFile(text: string): boolean {
  return text.split(/\r?\n/).some((line) => {
    const section = sectionOf(line);
    return section !== undefined
      ? SECTIONS.includes(section)
      : /^\s*(wgconfig|checkalive|checkaliveinterval)\s*=/i.test(line);
  });
}

/**
 * Reads a file of wireproxy.
 *
 * @param file Its name, for messages.
 * @param variable Looks up an environment variable: a value `$NAME` is replaced by that variable.
 * @throws {ConfigError} If a line for the proxy is invalid.
 */
export function parseWireproxy(text: string, file: string, variable: Variable): WireproxyFile {
  const wireguard: string[] = [];
  const sections: Section[] = [];
  const alive: Section = { name: "Interface", line: 0, lines: [] };
  let wgConfig: string | undefined;
  let current: Section | undefined;
  text.split(/\r?\n/).forEach((raw, index) => {
    const number = index + 1;
    const name = sectionOf(raw);
    const [key, value] = keyOf(raw);
    const origin = { file, number, key, variable };
    if (name !== undefined) {
      current = SECTIONS.includes(name) ? { name, line: number, lines: [] } : undefined;
      if (current) sections.push(current);
      wireguard.push(current ? "" : withoutComment(raw));
    } else if (key === "wgconfig") {
      wgConfig = valueOf(value, { ...origin, key: "WGConfig" });
      wireguard.push("");
    } else if (current) {
      if (key !== "") current.lines.push({ number, key, value: valueOf(value, origin) });
      wireguard.push("");
    } else if (key === "checkalive" || key === "checkaliveinterval") {
      alive.lines.push({ number, key, value: valueOf(value, origin) });
      wireguard.push("");
    } else {
      // Only in wireproxy does a semicolon begin a comment.
      const line = raw.replace(/;.*$/, "");
      wireguard.push(value.startsWith("$") ? replaceValue(line, origin) : line);
    }
  });
  return {
    wireguard: wireguard.join("\n"),
    wgConfig,
    ...readSections(sections, file),
    alive: readAlive(new SectionReader(alive, file)),
  };
}

/**
 * Gives all traffic to peers without allowed IPs, as wireproxy does.
 *
 * @returns The same configuration.
 */
export function routeEverything(config: Config): Config {
  for (const peer of config.peers) {
    if (peer.allowedIps.length > 0) continue;
    peer.allowedIps.push(
      ...["0.0.0.0/0", "::/0"].map((text) => ({ remove: false, prefix: parsePrefix(text)! })),
    );
  }
  return config;
}

/** One section's values. */
class SectionReader {
  readonly #known = new Set<string>();

  constructor(readonly section: Section, readonly file: string) {}

  /** A value as written; undefined if it is absent. */
  text(key: string): string | undefined {
    return this.#line(key)?.value;
  }

  /** The lines whose keys have not been read. */
  get unknown(): Line[] {
    return this.section.lines.filter(({ key }) => !this.#known.has(key));
  }

  #line(key: string): Line | undefined {
    const lower = key.toLowerCase();
    this.#known.add(lower);
    return this.section.lines.find((line) => line.key === lower);
  }

  /** An optional value. @throws {ConfigError} If it is invalid. */
  optional<T>(key: string, read: (text: string) => T): T | undefined {
    const line = this.#line(key);
    if (!line) return undefined;
    try {
      return read(line.value);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError(error.message, this.file, line.number, key, error.advice);
    }
  }

  /** A required value. @throws {ConfigError} If it is absent or invalid. */
  need<T>(key: string, read: (text: string) => T): T {
    const { section, file } = this;
    const value = this.optional(key, read);
    if (value !== undefined) return value;
    throw new ConfigError(`No ${key}`, file, section.line, key, `[${section.name}] needs a line ${key} = …`);
  }

  /** User and password, if there is a user. */
  credentials(): { credentials?: Credentials } {
    const [user, password = ""] = [this.text("Username"), this.text("Password")];
    return user ? { credentials: { user, password } } : {};
  }

  /** Certificate and key, if there is one of them. @throws {ConfigError} If there is only one. */
  tls(): Pick<ProxyListener, "tls"> {
    const files = [this.text("CertFile"), this.text("KeyFile")];
    if (!files.some(Boolean)) return {};
    const asIs = (text: string) => text;
    return { tls: { certFile: this.need("CertFile", asIs), keyFile: this.need("KeyFile", asIs) } };
  }
}

function readSections(
  sections: readonly Section[],
  file: string,
): Pick<WireproxyFile, "rules" | "stdio" | "prefer" | "passedOver"> {
  const socks5: ProxyListener[] = [];
  const http: ProxyListener[] = [];
  const sni: ProxyListener[] = [];
  const forwards: Forward[] = [];
  const udpForwards: UdpForward[] = [];
  const reverses: Reverse[] = [];
  const passedOver: string[] = [];
  let stdio: Target | undefined;
  let prefer: Family | undefined;
  for (const section of sections) {
    const reader = new SectionReader(section, file);
    switch (section.name) {
      case "socks5":
        socks5.push({ at: reader.need("BindAddress", readBindAddress), ...reader.credentials() });
        break;
      case "http":
        http.push({
          at: reader.need("BindAddress", readBindAddress),
          ...reader.credentials(),
          ...reader.tls(),
        });
        break;
      case "tcpclienttunnel":
        forwards.push({
          from: reader.need("BindAddress", readBindAddress),
          to: reader.need("Target", readTarget),
        });
        break;
      case "tcpservertunnel":
        reverses.push({
          port: reader.need("ListenPort", readPortListening).port,
          to: reader.need("Target", readTarget),
        });
        break;
      case "stdiotunnel":
        stdio = reader.need("Target", readTarget);
        break;
      case "udpproxytunnel":
        udpForwards.push({
          from: reader.need("BindAddress", readBindAddress),
          to: reader.need("Target", readTarget),
          idle: reader.optional("InactivityTimeout", readSeconds) || Infinity,
        });
        break;
      case "sni":
        sni.push({ at: reader.need("BindAddress", readBindAddress) });
        break;
      case "resolve":
        prefer = reader.optional("ResolveStrategy", readFamily);
        break;
    }
    for (const { number, key } of reader.unknown) {
      passedOver.push(`${file}:${number}: "${key}" in [${section.name}] has no effect; no such key is known`);
    }
  }
  return {
    rules: { socks5, http, sni, forwards, udpForwards, reverses, udpReverses: [] },
    stdio,
    prefer,
    passedOver,
  };
}

function readAlive(reader: SectionReader): AliveCheck | undefined {
  const interval = reader.optional("CheckAliveInterval", readSeconds) || ALIVE_INTERVAL;
  const addresses = reader.optional("CheckAlive", (text) => {
    const words = text.split(",").map((word) => word.trim()).filter((word) => word !== "");
    const wrong = words.find((word) => !parseAddress(word));
    if (wrong === undefined) return words;
    throw new ValueError(`Unable to parse IP address: \`${wrong}'`, `found "${wrong}", expected an address`);
  });
  return addresses && addresses.length > 0 ? { addresses, interval } : undefined;
}

/**
 * An address and a port; without an address, all addresses of IPv4. A host name is looked up when the proxy begins to
 * listen.
 */
function readBindAddress(text: string): PortListening {
  if (/^[a-z]/i.test(text) && !parseAddress(text)) {
    const { host, port } = readTarget(text);
    return { hostname: host, port };
  }
  return readPortListening(text.startsWith(":") ? `0.0.0.0${text}` : text);
}

function readSeconds(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new ValueError(`Unable to parse seconds: \`${text}'`, `found "${text}", expected a whole number`);
}

function sectionOf(line: string): string | undefined {
  return /^\s*\[([^\]]*)\]\s*$/.exec(withoutComment(line))?.[1]?.trim().toLowerCase();
}

function keyOf(line: string): [key: string, value: string] {
  const at = line.indexOf("=");
  const plain = withoutComment(line);
  if (at < 0 || plain.length < at) return ["", ""];
  const key = plain.slice(0, at).trim().toLowerCase();
  // Quotes allow characters that would begin a comment.
  const quoted = /^\s*(["'`])(.*?)\1\s*(?:[#;].*)?$/.exec(line.slice(at + 1));
  return [key, quoted?.[2] ?? plain.slice(at + 1).trim()];
}

function withoutComment(line: string): string {
  return line.replace(/[#;].*$/, "");
}

/** Where a value is, and the environment. */
interface Origin {
  readonly file: string;
  readonly number: number;
  readonly key: string;
  readonly variable: Variable;
}

/** A value. `$NAME` is replaced by that environment variable, and `$$` by a dollar sign. */
function valueOf(value: string, { file, number, key, variable }: Origin): string {
  if (value.startsWith("$$")) return value.slice(1);
  if (!value.startsWith("$")) return value;
  const found = variable(value.slice(1));
  if (found === undefined) {
    throw new ConfigError(
      `No environment variable ${value.slice(1)}`,
      file,
      number,
      key,
      `set ${value.slice(1)}, or write the value here`,
    );
  }
  return found;
}

function replaceValue(raw: string, origin: Origin): string {
  const at = raw.indexOf("=");
  const [, value] = keyOf(raw);
  return `${raw.slice(0, at + 1)} ${valueOf(value, origin)}`;
}
