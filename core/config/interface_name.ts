/**
 * Names of interfaces in the forms that wg-quick accepts: names, or file names.
 *
 * @module
 */

import { ValueError } from "./values.ts";

/** The longest name of an interface (IFNAMSIZ in linux/if.h, less the final zero). */
const MAX_LENGTH = 15;
const NAME = /^[a-zA-Z0-9_=+.-]{1,15}$/;

/** The folder of the files of interfaces that are given by name. */
export const CONFIG_FOLDER = "/etc/wireguard";

/** The file of an interface that is given by name. */
export function savedFile(name: string): string {
  return `${CONFIG_FOLDER}/${name}.conf`;
}

/** The message of wg-quick for a file whose name is not valid for an interface. */
export const FILE_NAME_MESSAGE = "The config file must be a valid interface name, followed by .conf";

/** Whether wg-quick treats a word as the name of an interface, and not of a file. */
export function isInterfaceName(word: string): boolean {
  return NAME.test(word);
}

/** Whether a name is valid for an interface. The kernel refuses some names that wg-quick accepts. */
export function isPossibleName(word: string): boolean {
  return NAME.test(word) && word !== "." && word !== "..";
}

/** The interface of a file; undefined if the file's name is not an interface's name and `.conf`. */
export function nameOfFile(path: string): string | undefined {
  const stem = stemOf(path);
  return stem !== undefined && isPossibleName(stem) ? stem : undefined;
}

/** The interface that a target refers to. Its file may not exist. */
export function nameOf(target: string): string | undefined {
  return nameOfFile(target) ?? (isInterfaceName(target) ? target : undefined);
}

/**
 * Makes sure that a word can be the name of an interface.
 *
 * @throws {ValueError} If it cannot.
 */
export function requireName(word: string): void {
  if (isPossibleName(word)) return;
  throw new ValueError(`Not the name of an interface: \`${word}'`, whyNoName(word));
}

/** Explains why a word cannot be the name of an interface. */
export function whyNoName(word: string): string {
  if (word === "") return "the name is empty";
  const strange = /[^a-zA-Z0-9_=+.-]/u.exec(word);
  if (strange) {
    return `"${word}" has "${strange[0]}", which is not allowed in the name of an interface`;
  }
  const tooMany = word.length - MAX_LENGTH;
  if (tooMany > 0) {
    return `"${word}" has ${word.length} characters, ${tooMany} too many for the name of an interface`;
  }
  return `"${word}" cannot be the name of an interface`;
}

/** Explains why the name of a file is not valid for an interface, and what to do about it. */
export function adviseFileName(path: string): string {
  const stem = stemOf(path);
  const base = path.slice(path.lastIndexOf("/") + 1);
  const why = stem === undefined ? `the name "${base}" does not end in ".conf"` : whyNoName(stem);
  const name = shorten(stem ?? base);
  return `${why}; rename it, for example to ${name}.conf, or add the line "# wgd: Interface = ${name}", ` +
    `or give the name to the command: --interface ${name}`;
}

/** The name of a proxy, from its file. A proxy has no interface, so any file name is valid. */
export function proxyNameOf(path: string): string {
  const base = path.slice(path.lastIndexOf("/") + 1);
  return nameOfFile(path) ?? shorten(stemOf(path) ?? base);
}

/** Makes a valid name from an invalid one. The end is kept, because it distinguishes servers. */
function shorten(word: string): string {
  const clean = word.replace(/[^a-zA-Z0-9_=+.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "wg0";
  if (clean.length <= MAX_LENGTH) return clean;
  for (const { index } of clean.matchAll(/[-_.]/g)) {
    const rest = clean.slice(index + 1);
    if (rest.length <= MAX_LENGTH && /^[a-zA-Z]/.test(rest)) return rest;
  }
  return clean.slice(0, MAX_LENGTH);
}

/** The name of a file without its folder and `.conf`; undefined if it does not end in `.conf`. */
function stemOf(path: string): string | undefined {
  const base = path.slice(path.lastIndexOf("/") + 1);
  return base.endsWith(".conf") ? base.slice(0, -".conf".length) : undefined;
}
