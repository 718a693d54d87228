/**
 * The log of an interface.
 *
 * @module
 */

/** Receives one message. */
export type Log = (level: "debug" | "info" | "error", message: string) => void;
