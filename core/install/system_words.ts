/**
 * Errors of the system, for the user who installs.
 *
 * @module
 */

import { ForeignLinkError } from "../../ffi/linux/folder.ts";
import { InstallError } from "./plan.ts";

/**
 * Calls a function that works on a file.
 *
 * @throws {InstallError} In place of an error of the system, with the file's name.
 */
export async function explain<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof ForeignLinkError) {
      const hint = "it would decide where files are written; remove it, or install as that user";
      throw new InstallError(cause.message, hint, { cause });
    }
    const reason = /^(.*?) \(os error \d+\)/.exec((cause as Error).message)?.[1];
    if (reason === undefined) throw cause;
    const hint = cause instanceof Deno.errors.PermissionDenied && Deno.uid() !== 0
      ? "become root, for example with sudo; or choose a folder of your own: --prefix ~/.local"
      : "choose another folder than /usr/local: --prefix FOLDER";
    throw new InstallError(`${path}: ${reason}`, hint, { cause });
  }
}
