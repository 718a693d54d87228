/**
 * boringtun, built from its crate.
 *
 * @module
 */

import { cargoInstall } from "./cargo.ts";

/**
 * Finds or builds boringtun.
 *
 * @returns Path of its executable.
 * @throws {PeerUnavailable} If it is not there and cannot be built.
 */
export function boringtun(): Promise<string> {
  return cargoInstall("boringtun-cli");
}
