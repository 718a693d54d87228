/**
 * Errors of the store.
 *
 * @module
 */

/** What exactly is wrong with a field. */
export interface Detail {
  /** The text of the page is `FIELD.CODE`. */
  readonly code: string;
  /** The values in that text. */
  readonly values: Readonly<Record<string, string>>;
}

/** The name or key is already in use. */
export class TakenError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "TakenError";

  /** @param field The field that is in use, such as `name`. */
  constructor(message: string, readonly field: string, readonly detail?: Detail) {
    super(message);
  }
}

/** A network has no free address left. */
export class NetworkFullError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "NetworkFullError";
}

/** A text is not a subnet for clients. */
export class SubnetError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "SubnetError";
}

/** The database does not answer, denies access or cannot be written. */
export class DatabaseError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "DatabaseError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}
