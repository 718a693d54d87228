/**
 * Listens, and explains why it fails.
 *
 * @module
 */

/** An address to listen on. */
export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/** The server cannot listen on an address. */
export class ListenError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "ListenError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * Begins to listen.
 *
 * @param start Begins to listen.
 * @throws {ListenError} If that is not possible on this address.
 */
export function listening<T>({ hostname, port }: ListenAddress, start: () => T): T {
  try {
    return start();
  } catch (cause) {
    const [reason, hint] = explain(cause) ?? [];
    if (reason === undefined || hint === undefined) throw cause;
    const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
    throw new ListenError(`listening at ${shown}:${port} failed: ${reason}`, hint, { cause });
  }
}

function explain(error: unknown): [reason: string, hint: string] | undefined {
  if (error instanceof Deno.errors.PermissionDenied) {
    return ["permission denied", "give CAP_NET_BIND_SERVICE, or choose a port from 1024 upwards"];
  }
  if (error instanceof Deno.errors.AddrInUse) {
    return ["the port is in use", "end the program that uses it, or choose another port"];
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return ["this machine does not have the address", "choose one that it has"];
  }
  return undefined;
}
