/**
 * The implementations of WireGuard that tests run against, found or made on first use.
 *
 * @module
 */

import { ensurePrograms } from "./apt.ts";
import { boringtun } from "./boringtun.ts";
import { PeerUnavailable } from "./cache.ts";
import { type KernelImage, kernelImage } from "./kernel.ts";
import { wireguardGo } from "./wireguard_go.ts";

export { ensurePrograms, PeerUnavailable };
export type { KernelImage };

/** What each implementation is run from. */
export interface Peers {
  "wireguard-go": string;
  "boringtun": string;
  "kernel": KernelImage;
}

/** Programs that every test of this folder calls. */
export const PROGRAMS = ["bash", "ip", "iperf3", "ping", "ps", "unshare", "wg", "wg-quick"] as const;

const makers: { [Name in keyof Peers]: () => Promise<Peers[Name]> } = {
  "wireguard-go": wireguardGo,
  "boringtun": boringtun,
  "kernel": kernelImage,
};
const made = new Map<keyof Peers, Promise<unknown>>();

/**
 * Finds an implementation, or makes it once and for all.
 *
 * @param name Which.
 * @returns What to run it from.
 * @throws {PeerUnavailable} If it cannot be had here.
 */
export function peer<Name extends keyof Peers>(name: Name): Promise<Peers[Name]> {
  if (!made.has(name)) made.set(name, makers[name]());
  return made.get(name) as Promise<Peers[Name]>;
}

/** @returns Why an implementation cannot be had here, or undefined if it can. */
export async function whyMissing(name: keyof Peers): Promise<string | undefined> {
  try {
    await peer(name);
    return undefined;
  } catch (error) {
    if (error instanceof PeerUnavailable) return error.message;
    throw error;
  }
}
