/**
 * What became of a file, for people.
 *
 * @module
 */

/** A file that could not be read or written. */
export class FileError extends Error {
  /** Tells this kind of error from others. */
  override name = "FileError";

  /**
   * Makes the error.
   *
   * @param action What was tried; a file that could not be written is as it was.
   * @param path The file.
   * @param cause Deno's error, or what else is wrong with it.
   */
  constructor(readonly action: "read" | "write", readonly path: string, override readonly cause: unknown) {
    super(`cannot ${action} "${path}": ${reasonOf(cause)}`, { cause });
  }

  /** Why, in the system's words. */
  get reason(): string {
    return reasonOf(this.cause);
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // Deno says "Permission denied (os error 13): open '/etc/x'"; people know neither the number nor the call.
  return cause.message.replace(/ \(os error \d+\).*$/s, "");
}
