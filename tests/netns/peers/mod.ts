/**
 * The implementations of WireGuard that tests run against, found or made on first use.
 *
 * @module
 */

import { ensurePrograms, PACKAGED } from "./apt.ts";
import { boringtun } from "./boringtun.ts";
import { PeerUnavailable } from "./cache.ts";
import { type KernelImage, kernelImage } from "./kernel.ts";
import { type Postgresql, postgresql } from "./postgresql.ts";
import { type Samba, samba } from "./samba.ts";
import { type Slapd, slapd } from "./slapd.ts";
import { type Resolved, systemdResolved } from "./systemd_resolved.ts";
import { wireguardGo } from "./wireguard_go.ts";

export { ensurePrograms, PACKAGED, PeerUnavailable };
export type { KernelImage, Samba, Slapd };

/** What each implementation, and what else is fetched, is run from. */
export interface Peers {
  "wireguard-go": string;
  "boringtun": string;
  "kernel": KernelImage;
  "postgresql": Postgresql;
  "systemd-resolved": Resolved;
  "samba": Samba;
  "slapd": Slapd;
}

/** Programs that every test of this folder calls. */
export const PROGRAMS = ["bash", "ip", "iperf3", "ping", "ps", "unshare", "wg", "wg-quick"] as const;

const makers: { [Name in keyof Peers]: () => Promise<Peers[Name]> } = {
  "wireguard-go": wireguardGo,
  "boringtun": boringtun,
  "kernel": kernelImage,
  "postgresql": postgresql,
  "systemd-resolved": systemdResolved,
  "samba": samba,
  "slapd": slapd,
};
/** The names of all of them. */
export const PEERS = Object.keys(makers) as (keyof Peers)[];

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
export function whyNoPeer(name: keyof Peers): Promise<string | undefined> {
  return whyNot(() => peer(name));
}

/** @returns Why programs are not there and cannot be installed, or undefined if they can. */
export function whyNoPrograms(...programs: string[]): Promise<string | undefined> {
  return whyNot(() => ensurePrograms(...programs));
}

async function whyNot(attempt: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt();
    return undefined;
  } catch (error) {
    if (error instanceof PeerUnavailable) return error.message;
    throw error;
  }
}
