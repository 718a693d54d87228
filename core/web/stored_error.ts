/**
 * Changes that are stored, but have not reached an interface yet.
 *
 * @module
 */

/** A change is stored, but an interface could not be changed. That is repeated until it succeeds. */
export class StoredError extends Error {
  /** Tells this kind of error from others. */
  override name = "StoredError";

  /** @param cause Why the interface could not be changed. */
  constructor(cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `the change is stored, but the interface could not be changed yet: ${reason}. wgd web repeats that until it succeeds`,
      { cause },
    );
  }
}
