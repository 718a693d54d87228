/**
 * Time in the protocol. It is always an argument; no clock is read here.
 *
 * @module
 */

/**
 * An instant in milliseconds on a clock that never goes back and runs through suspend (`CLOCK_BOOTTIME`), so that a
 * key does not outlive its age in a sleeping laptop. Deadlines computed from it are plain numbers of milliseconds.
 */
export type Milliseconds = number & { readonly brand: "Milliseconds" };

/** The two clocks at one moment. */
export interface Now {
  /** The clock for all ages and deadlines. */
  readonly boot: Milliseconds;
  /** Nanoseconds since 1970, only for the handshake's timestamp and the time of the last handshake. */
  readonly wall: bigint;
}

/** The deadline of a timer that is not armed. */
export const NEVER: number = Infinity;

/** The time of an event that has not happened yet. */
export const LONG_AGO: number = -Infinity;
