/**
 * Where an interface says what happens to it.
 *
 * @module
 */

/** Hears one message. */
export type Log = (level: "debug" | "info" | "error", message: string) => void;
