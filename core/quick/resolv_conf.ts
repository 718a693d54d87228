/**
 * Replaces /etc/resolv.conf and restores it, on machines where no program manages it.
 *
 * @module
 */

import { linkDurably, writeDurably } from "../durable_file.ts";
import { FileError } from "../file_error.ts";
import { Errno } from "../uapi/errno.ts";
import { errnoOf } from "../client/system.ts";
import { resolvConfHeader } from "./plan/dns.ts";
import type { ResolvConf, Step } from "./plan/step.ts";

/** The file. */
export const RESOLV_CONF = "/etc/resolv.conf";

/** A step that replaces or restores the file. */
export type ResolvConfStep = Step & { readonly kind: "resolv-conf" };

/** Whether a step replaces or restores the file. */
export function isResolvConf(step: Step): step is ResolvConfStep {
  return step.kind === "resolv-conf";
}

/** The current file. */
export async function readResolvConf(): Promise<ResolvConf> {
  try {
    const { isSymlink } = await Deno.lstat(RESOLV_CONF);
    return isSymlink
      ? { link: await Deno.readLink(RESOLV_CONF) }
      : { text: await Deno.readTextFile(RESOLV_CONF) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whether the file has an interface's lines. */
export function isOwned(content: ResolvConf, owner: string): boolean {
  return content !== null && "text" in content && content.text.startsWith(resolvConfHeader(owner));
}

/**
 * Does the step, unless the file belongs to another program by now. A link is replaced, not followed, because its
 * target belongs to another program.
 *
 * @throws {FileError} If it cannot be done. Then the file is unchanged.
 */
export async function writeResolvConf({ content, owner }: ResolvConfStep): Promise<void> {
  if (owner !== undefined && !isOwned(await readResolvConf(), owner)) return;
  if (content === null) return remove();
  if ("link" in content) return linkDurably(RESOLV_CONF, content.link);
  const bytes = new TextEncoder().encode(content.text);
  try {
    await writeDurably(RESOLV_CONF, bytes, { replaceLink: true, mode: 0o644 });
  } catch (error) {
    // In containers the file is a mount, which can be neither replaced nor removed. Its folder may be read-only.
    if (!(error instanceof FileError) || !overwrite(bytes)) throw error;
  }
}

/** Why the file cannot be written. */
export function adviseResolvConf({ cause }: FileError): string | undefined {
  switch (errnoOf(cause)) {
    case Errno.EROFS:
      return "make /etc writable: mount -o remount,rw";
    case Errno.ENOSPC:
      return "free some space on the disk of /etc";
    case Errno.EPERM:
      return "it may be immutable (see: lsattr -d /etc /etc/resolv.conf); chattr -i makes it mutable";
    default:
      return undefined;
  }
}

function remove(): void {
  try {
    Deno.removeSync(RESOLV_CONF);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new FileError("write", RESOLV_CONF, error);
  }
}

/**
 * Overwrites the contents of the file. If this fails, the old contents are written again.
 *
 * @returns Whether it succeeded.
 */
function overwrite(bytes: Uint8Array): boolean {
  try {
    if (!Deno.lstatSync(RESOLV_CONF).isFile) return false;
    const before = Deno.readFileSync(RESOLV_CONF);
    using file = Deno.openSync(RESOLV_CONF, { write: true });
    try {
      fill(file, bytes);
      return true;
    } catch {
      // These bytes had room before.
      fill(file, before);
      return false;
    }
  } catch {
    return false;
  }
}

function fill(file: Deno.FsFile, bytes: Uint8Array): void {
  file.seekSync(0, Deno.SeekMode.Start);
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
  file.truncateSync(bytes.length);
  file.syncSync();
}
