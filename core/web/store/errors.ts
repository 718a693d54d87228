/**
 * Why the store refuses something.
 *
 * @module
 */

/** Something of this name or key is there already. */
export class TakenError extends Error {
  /** Tells this kind of error from others. */
  override name = "TakenError";

  /** @param field What of it is taken, as `name`. */
  constructor(message: string, readonly field: string) {
    super(message);
  }
}

/** A network has no free address left. */
export class NetworkFullError extends Error {
  /** Tells this kind of error from others. */
  override name = "NetworkFullError";
}

/** A text is no subnet for clients. */
export class SubnetError extends Error {
  /** Tells this kind of error from others. */
  override name = "SubnetError";
}

/** The database does not answer, or does not let wgd in. */
export class DatabaseError extends Error {
  /** Tells this kind of error from others. */
  override name = "DatabaseError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}
