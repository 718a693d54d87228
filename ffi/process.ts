/**
 * What a program does to leave the terminal it was started from.
 *
 * @module
 */

import { check, close, cString, libc } from "./libc.ts";
import { O_RDWR } from "./linux.ts";

/** Starts a session of our own, so that the terminal's signals go elsewhere. */
export function leaveTerminal(): void {
  // Fails only for a process that leads a group already, which has then left.
  libc().setsid();
}

/** Points standard input, output and error at /dev/null, so that whoever waits for their end is released. */
export function releaseStandardStreams(): void {
  const fd = check(libc().open(cString("/dev/null"), O_RDWR, 0), "opening /dev/null");
  for (const stream of [0, 1, 2]) libc().dup2(fd, stream);
  if (fd > 2) close(fd);
}
