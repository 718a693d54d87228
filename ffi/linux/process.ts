/**
 * Detaches a program from the terminal that started it.
 *
 * @module
 */

import { check, close, cString, libc } from "./libc.ts";
import { O_CLOEXEC, O_RDWR } from "./constants.ts";

/** Starts a new session, so that the terminal's signals do not reach this process. */
export function leaveTerminal(): void {
  // Fails only for the leader of a process group, which is already detached.
  libc().setsid();
}

/**
 * Redirects standard input, output and error to /dev/null, so that a program that waits for their end continues. Deno
 * keeps copies of the three for itself and for each worker, so every descriptor of the same pipe or terminal is
 * replaced.
 */
export function releaseStandardStreams(): void {
  const folder = "/proc/self/fd";
  const standard = new Set([0, 1, 2].map((fd) => target(`${folder}/${fd}`)));
  const open = [...Deno.readDirSync(folder)].map(({ name }) => Number(name));
  const copies = open.filter((fd) => fd <= 2 || standard.has(target(`${folder}/${fd}`)));
  const nowhere = check(libc().open(cString("/dev/null"), O_RDWR | O_CLOEXEC, 0), "opening /dev/null");
  for (const fd of copies) libc().dup2(nowhere, fd);
  close(nowhere);
}

function target(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch (error) {
    // The descriptor with which the folder was read is already closed.
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
