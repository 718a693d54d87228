/**
 * Values of files and command lines. Errors have the texts of `wg` (config.c), and advice on what is wrong.
 *
 * @module
 */

import { parseIPv4, parseIPv6 } from "./address.ts";
import { type EndpointText, splitEndpoint } from "./endpoint.ts";
import { type Key, KEY_BASE64_LENGTH, parseKey } from "./key.ts";
import { parseDecimal, parseFwmark, parseKeepalive, parsePort, type ServicePort } from "./number.ts";
import { type AllowedIpChange, hasHostPart, makePrefix } from "./prefix.ts";

/**
 * A value that `wg` refuses.
 *
 * @example
 * ```ts ignore
 * import { Client, ValueError } from "@wgd/wgd";
 * import { rejects } from "node:assert/strict";
 *
 * const client = await Client.connect("wg0");
 * await rejects(client.set({ peers: [{ publicKey: "not a key" }] }), ValueError);
 * ```
 */
export class ValueError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "ValueError";

  /**
   * Makes the error; nothing is printed.
   *
   * @param message What `wg` prints.
   * @param advice What was found, what was expected, and how to fix it.
   */
  constructor(message: string, readonly advice: string) {
    super(message);
  }
}

/** The value of a list of allowed IPs. */
export interface AllowedIpList {
  /** False if an item began with `+` or `-`. Such a list changes the peer's allowed IPs instead of replacing them. */
  replace: boolean;
  /** In the order written. */
  changes: AllowedIpChange[];
}

/**
 * Reads a key.
 *
 * @throws {ValueError} If the text is not a key.
 */
export function readKey(text: string): Key {
  const key = parseKey(text);
  if (key) return key;
  throw new ValueError(`Key is not the correct length or format: \`${text}'`, adviseKey(text));
}

function adviseKey(text: string): string {
  const expected = `expected ${KEY_BASE64_LENGTH} characters of base64, the last one "="`;
  if (/^[0-9a-fA-F]{64}$/.test(text)) {
    return `found 64 hexadecimal digits, ${expected}; convert it: xxd -r -p | base64`;
  }
  if (text.length !== KEY_BASE64_LENGTH) {
    const fix = text.length === KEY_BASE64_LENGTH - 1 && !text.endsWith("=")
      ? 'the "=" at the end is missing'
      : text.length < KEY_BASE64_LENGTH
      ? "part of it is missing; copy it again"
      : "there is text after the key; copy it again";
    return `found ${text.length} characters, ${expected}; ${fix}`;
  }
  if (!text.endsWith("=")) return `found "${text.at(-1)}" at the end, ${expected}; copy it again`;
  const strange = /[^A-Za-z0-9+/]/.exec(text.slice(0, -1));
  if (strange) {
    return `found "${strange[0]}" as character ${
      strange.index + 1
    }, expected only A-Z a-z 0-9 + / before the "="; ` +
      "copy it again";
  }
  return `found "${
    text[42]
  }" before the "=", which 32 bytes cannot end with; a character was changed: copy it again`;
}

/**
 * Reads the port to listen on.
 *
 * @throws {ValueError} If the text is neither a port nor a known service.
 */
export function readListenPort(text: string, servicePort?: ServicePort): number {
  if (text === "") throw new ValueError("Unable to parse empty port", "found nothing, expected 0 to 65535");
  // getaddrinfo does not look "*" up as a service if there is no host name.
  if (text === "*") throw new ValueError(`Name or service not known: \`*'`, 'found "*", expected 0 to 65535');
  const port = parsePort(text, servicePort);
  if (port !== null) return port;
  throw new ValueError(`Servname not supported for ai_socktype: \`${text}'`, advisePort(text));
}

/** Advice for a text that is not a port. */
export function advisePort(text: string): string {
  return `found "${text}", expected 0 to 65535, where 0 is any free port, or the name of a UDP service`;
}

/**
 * Reads a firewall mark.
 *
 * @throws {ValueError} If the text is not a firewall mark.
 */
export function readFwmark(text: string): number {
  const mark = parseFwmark(text);
  if (mark !== null) return mark;
  throw new ValueError(
    `Fwmark is neither 0/off nor 0-0xffffffff: \`${text}'`,
    `found "${text}", expected off, a decimal number, or a hexadecimal one such as 0xca6c`,
  );
}

/**
 * Reads an interval of persistent keepalives, in seconds.
 *
 * @throws {ValueError} If the text is not an interval.
 */
export function readKeepalive(text: string): number {
  const seconds = parseKeepalive(text);
  if (seconds !== null) return seconds;
  throw new ValueError(
    `Persistent keepalive interval is neither 0/off nor 1-65535: \`${text}'`,
    `found "${text}", expected off or a number of seconds from 1 to 65535; 25 suits most routers`,
  );
}

/**
 * Reads an endpoint; names are not looked up.
 *
 * @throws {ValueError} If host or port is missing.
 */
export function readEndpoint(text: string): EndpointText {
  if (text === "") {
    throw new ValueError(
      "Unable to parse empty endpoint",
      "found nothing, expected HOST:PORT or [IPV6]:PORT",
    );
  }
  const endpoint = splitEndpoint(text);
  if (endpoint === "brace") {
    throw new ValueError(
      `Unable to find matching brace of endpoint: \`${text}'`,
      `found "${text}", expected [IPV6]:PORT; the "]" is missing`,
    );
  }
  if (endpoint === "port") {
    const host = text.startsWith("[") ? text.slice(0, text.indexOf("]") + 1) : text.replace(/:$/, "");
    throw new ValueError(
      `Unable to find port of endpoint: \`${text}'`,
      `found "${text}", expected a port after the host, such as ${host}:51820`,
    );
  }
  return endpoint;
}

/**
 * Reads a comma-separated list of allowed IPs that has no white space.
 *
 * @param warn Called with `wg`'s warning for an item that is accepted but looks wrong.
 * @throws {ValueError} At the first item that is wrong.
 */
export function readAllowedIps(text: string, warn: (message: string) => void): AllowedIpList {
  const list: AllowedIpList = { replace: true, changes: [] };
  if (text === "") return list;
  for (const item of text.split(",")) {
    const sign = item[0];
    const remove = sign === "-";
    if (remove || sign === "+") list.replace = false;
    const entry = remove || sign === "+" ? item.slice(1) : item;
    list.changes.push({ remove, prefix: readAllowedIp(entry, text, warn) });
  }
  return list;
}

function readAllowedIp(
  entry: string,
  whole: string,
  warn: (message: string) => void,
): AllowedIpChange["prefix"] {
  const slash = entry.indexOf("/");
  const ip = slash < 0 ? entry : entry.slice(0, slash);
  const address = ip.includes(":") ? parseIPv6(ip) : parseIPv4(ip);
  if (address === null) throw new ValueError(`Unable to parse IP address: \`${ip}'`, adviseIp(ip, whole));
  const bits = address.length * 8;
  if (slash < 0) return makePrefix(address, bits);
  const mask = entry.slice(slash + 1);
  const length = parseDecimal(mask, bits);
  if (length === null) {
    throw new ValueError(
      `AllowedIP is not in the correct format: \`${entry}'`,
      `found "/${mask}", expected /0 to /${bits}` +
        (mask.includes(".") ? "; a netmask is not accepted" : ""),
    );
  }
  if (hasHostPart(address, length)) warn(`Warning: AllowedIP has nonzero host part: ${ip}/${mask}`);
  return makePrefix(address, length);
}

function adviseIp(ip: string, whole: string): string {
  if (ip === "") {
    return `found nothing between two commas or after the last one in "${whole}"; remove a comma`;
  }
  const expected = "expected an IPv4 or IPv6 address, such as 10.0.0.0/24 or fd00::/64";
  if (/\d\.0\d/.test(ip) || /^0\d/.test(ip)) {
    return `found "${ip}", ${expected}; write numbers without leading zeros`;
  }
  if (/[a-z]/i.test(ip) && !ip.includes(":")) {
    return `found "${ip}", ${expected}; names are not looked up here`;
  }
  return `found "${ip}", ${expected}`;
}
