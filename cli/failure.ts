/**
 * Reports failures with the texts of `wg`. wgd adds a line that begins with `hint: `.
 *
 * @module
 */

import { UapiError } from "../core/uapi/lines.ts";
import { Errno, errnoOf } from "../core/client/system.ts";
import { complain } from "./render/output.ts";
import { strerror } from "./render/strerror.ts";

/**
 * Reports that an interface could not be reached or refused. Any other error is thrown again.
 *
 * @param what Such as `Unable to access interface`.
 * @returns 1, the exit code of every failure.
 */
export function reportUapiError(what: string, error: unknown, name: string): number {
  if (!(error instanceof UapiError)) throw error;
  complain(`${what}: ${strerror(error.errno)}`);
  const advice = advise(error, name);
  if (advice) complain(`hint: ${advice}`);
  return 1;
}

function advise({ errno, message, hint }: UapiError, name: string): string | undefined {
  if (hint !== undefined) return hint;
  switch (errno) {
    case Errno.EPROTONOSUPPORT:
    case Errno.ENODEV:
      return `${message}; start one: wgd run ${name}`;
    case Errno.EPERM:
    case Errno.EACCES:
      return "this needs root, or the right to use the control socket";
    case Errno.EOPNOTSUPP:
      return message;
    case Errno.EADDRINUSE:
      return "another program uses that UDP port; see which: ss -lunp";
    default:
      return undefined;
  }
}

/** The C library's text for a file that could not be opened or read. Any other error is thrown again. */
export function fileError(error: unknown): string {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  return strerror(errno);
}
