/**
 * Files of wireproxy: a WireGuard configuration, or the name of one (`WGConfig`), with sections that say what the proxy
 * does.
 *
 * @module
 */

import { ConfigError } from "../config/config_error.ts";
import { ValueError } from "../config/values.ts";
import type { Credentials, Target } from "./handshake.ts";
import { type Forward, type Listening, readListening, readTarget } from "./rules.ts";

/** What a file of wireproxy says. */
export interface WireproxyFile {
  /** The part that is for WireGuard; the proxy's lines in it are blank, so that lines keep their numbers. */
  readonly wireguard: string;
  /** Another file with that part, if it is not here. */
  readonly wgConfig: string | undefined;
  readonly socks5: readonly Listening[];
  readonly http: readonly Listening[];
  readonly forwards: readonly Forward[];
  readonly reverses: readonly { readonly port: number; readonly to: Target }[];
  readonly stdio: Target | undefined;
  readonly credentials: Credentials | undefined;
  /** What has no effect here, each with its line. */
  readonly passedOver: readonly string[];
}

const SECTIONS = ["socks5", "http", "tcpclienttunnel", "tcpservertunnel", "stdiotunnel", "udpproxytunnel"];

interface Line {
  readonly number: number;
  readonly key: string;
  readonly value: string;
}

interface Section {
  readonly name: string;
  readonly line: number;
  readonly lines: Line[];
}

/** Whether a file is wireproxy's: it has a section or a key that only wireproxy knows. */
export function isWireproxyFile(text: string): boolean {
  return text.split(/\r?\n/).some((line) => {
    const section = sectionOf(line);
    return section !== undefined ? SECTIONS.includes(section) : /^\s*wgconfig\s*=/i.test(line);
  });
}

/**
 * Reads a file of wireproxy.
 *
 * @param file Its name, for messages.
 * @param variable Looks up an environment variable: a value `$NAME` stands for what it holds.
 * @throws {ConfigError} If a line of the proxy's cannot be used.
 */
export function parseWireproxy(
  text: string,
  file: string,
  variable: (name: string) => string | undefined,
): WireproxyFile {
  const wireguard: string[] = [];
  const sections: Section[] = [];
  let wgConfig: string | undefined;
  let current: Section | undefined;
  text.split(/\r?\n/).forEach((raw, index) => {
    const number = index + 1;
    const name = sectionOf(raw);
    const [key, value] = keyOf(raw);
    if (name !== undefined) {
      current = SECTIONS.includes(name) ? { name, line: number, lines: [] } : undefined;
      if (current) sections.push(current);
      wireguard.push(current ? "" : raw);
    } else if (key === "wgconfig") {
      wgConfig = valueOf(value, { file, number, key: "WGConfig", variable });
      wireguard.push("");
    } else if (current) {
      if (key !== "") {
        current.lines.push({ number, key, value: valueOf(value, { file, number, key, variable }) });
      }
      wireguard.push("");
    } else if (key === "checkalive" || key === "checkaliveinterval") {
      wireguard.push("");
    } else {
      wireguard.push(value.startsWith("$") ? replaceValue(raw, { file, number, key, variable }) : raw);
    }
  });
  return { wireguard: wireguard.join("\n"), wgConfig, ...readSections(sections, file) };
}

function readSections(
  sections: readonly Section[],
  file: string,
): Omit<WireproxyFile, "wireguard" | "wgConfig"> {
  const socks5: Listening[] = [];
  const http: Listening[] = [];
  const forwards: Forward[] = [];
  const reverses: { port: number; to: Target }[] = [];
  const passedOver: string[] = [];
  let stdio: Target | undefined;
  let credentials: Credentials | undefined;
  for (const section of sections) {
    const need = <T>(key: string, read: (text: string) => T): T => {
      const line = section.lines.find((line) => line.key === key.toLowerCase());
      if (!line) {
        const advice = `[${section.name}] needs a line ${key} = …`;
        throw new ConfigError(`No ${key}`, file, section.line, key, advice);
      }
      try {
        return read(line.value);
      } catch (error) {
        if (!(error instanceof ValueError)) throw error;
        throw new ConfigError(error.message, file, line.number, key, error.advice);
      }
    };
    const value = (key: string) => section.lines.find((line) => line.key === key)?.value;
    switch (section.name) {
      case "socks5":
      case "http":
        (section.name === "socks5" ? socks5 : http).push(need("BindAddress", readListening));
        if (value("username")) credentials = { user: value("username")!, password: value("password") ?? "" };
        break;
      case "tcpclienttunnel":
        forwards.push({ from: need("BindAddress", readListening), to: need("Target", readTarget) });
        break;
      case "tcpservertunnel":
        reverses.push({ port: need("ListenPort", readListening).port, to: need("Target", readTarget) });
        break;
      case "stdiotunnel":
        stdio = need("Target", readTarget);
        break;
      case "udpproxytunnel":
        passedOver.push(`${file}:${section.line}: UDPProxyTunnel has no effect; SOCKS5 carries UDP`);
        break;
    }
  }
  return { socks5, http, forwards, reverses, stdio, credentials, passedOver };
}

function sectionOf(line: string): string | undefined {
  return /^\s*\[([^\]]*)\]\s*$/.exec(line.replace(/#.*$/, ""))?.[1]?.trim().toLowerCase();
}

function keyOf(line: string): [key: string, value: string] {
  const plain = line.replace(/#.*$/, "");
  const at = plain.indexOf("=");
  return at < 0 ? ["", ""] : [plain.slice(0, at).trim().toLowerCase(), plain.slice(at + 1).trim()];
}

interface Place {
  readonly file: string;
  readonly number: number;
  readonly key: string;
  readonly variable: (name: string) => string | undefined;
}

/** A value; `$NAME` is that of an environment variable, `$$` begins with a dollar. */
function valueOf(value: string, { file, number, key, variable }: Place): string {
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

function replaceValue(raw: string, place: Place): string {
  const at = raw.indexOf("=");
  return `${raw.slice(0, at + 1)} ${valueOf(raw.slice(at + 1).trim(), place)}`;
}
