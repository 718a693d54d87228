/**
 * Errors of files, for users.
 *
 * @module
 */

/** A file that could not be read or written. */
export class FileError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "FileError";

  /**
   * Makes the error.
   *
   * @param action What was attempted. A file that could not be written is unchanged.
   * @param path The file.
   * @param cause Deno's error, or another reason.
   */
  constructor(readonly action: "read" | "write", readonly path: string, override readonly cause: unknown) {
    super(`cannot ${action} "${path}": ${reasonOf(cause)}`, { cause });
  }

  /** The reason, in the system's words. */
  get reason(): string {
    return reasonOf(this.cause);
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // Deno's text is "Permission denied (os error 13): open '/etc/x'". The number and the call mean nothing to users.
  return cause.message.replace(/ \(os error \d+\).*$/s, "");
}
