/**
 * The Deno that runs the build, and Deno for other machines.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { isThisMachine, type Target } from "./target.ts";

/** The folder of the sources. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The permissions of wgd. Deno requires all permissions for files in /proc, /sys and /dev, which contain interfaces and
 * routes. A program that may call the C library (FFI) is not restricted by the other permissions anyway.
 */
export const PERMISSIONS: readonly string[] = ["--allow-all"];

/** An executable cannot be made. The message is for the user who builds it. */
export class BuildError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "BuildError";
}

/** A private registry, or a proxy before a registry, may have a certificate that only this machine trusts. */
const AUTHORITIES = "mozilla,system";

/** Runs Deno and reads its output. The default folder is that of the sources. */
export async function deno(args: readonly string[], cwd = ROOT): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? AUTHORITIES },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/**
 * Writes the Deno of a target to a file.
 *
 * For another machine, this is an npm package of the same version as the Deno that builds. `deno install` downloads it
 * from the registry that `.npmrc` or `NPM_CONFIG_REGISTRY` names, refuses it if its SHA-512 differs from the one that
 * the registry lists, and caches it.
 *
 * @throws {BuildError} If it cannot be downloaded, or is for another machine.
 */
export async function copyDeno(target: Target, to: string): Promise<void> {
  if (isThisMachine(target)) return await Deno.copyFile(Deno.execPath(), to);
  const folder = await Deno.makeTempDir({ prefix: "wgd-deno-" });
  try {
    const dependencies = { [target.package]: Deno.version.deno };
    await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify({ dependencies }));
    const { success, text } = await deno(["install", "--quiet", "--node-modules-dir=auto"], folder);
    if (!success) {
      throw new BuildError(`${target.package}@${Deno.version.deno} cannot be had: ${reasonOf(text)}`);
    }
    await Deno.copyFile(`${folder}/node_modules/${target.package}/deno`, to);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  if (!await isFor(target, to)) {
    throw new BuildError(`${target.package}@${Deno.version.deno} holds no program for ${target.arch}`);
  }
}

/** Whether a file is a 64-bit program for a machine (elf.h). */
export async function isFor({ elfMachine }: Target, path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const header = new DataView(new ArrayBuffer(20));
  await file.read(new Uint8Array(header.buffer));
  const [magic, elfClass64, machine] = [
    header.getUint32(0),
    header.getUint8(4) === 2,
    header.getUint16(18, true),
  ];
  return magic === 0x7f454c46 && elfClass64 && machine === elfMachine;
}

/** Deno's text of an error and its causes, in one line. */
export function reasonOf(text: string): string {
  const [said = ""] = text.replace(/^error: */i, "").split("Stack backtrace:");
  return said.replace("Caused by:", "").split("\n").map((line) => line.trim().replace(/^\d+: /, ""))
    .filter((line) => line !== "").join(": ");
}
