/**
 * The state of a device, as far as the store knows it.
 *
 * @module
 */

import type { Device, DeviceState } from "./records.ts";

/**
 * Milliseconds after a handshake for which a session is valid, so that a peer counts as connected (whitepaper section
 * 6.1).
 */
export const ONLINE_FOR = 180_000;

/** The state of a device. */
export function stateOf(
  { cut, lastHandshakeAt }: Pick<Device, "cut" | "lastHandshakeAt">,
  now: number,
): DeviceState {
  if (cut !== null) return cut === "expired" || cut === "user-expired" ? "expired" : "disabled";
  if (lastHandshakeAt === 0) return "never";
  return lastHandshakeAt > now - ONLINE_FOR ? "online" : "idle";
}
