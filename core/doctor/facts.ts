/**
 * Reads the facts that `diagnose` needs, with the system's own tools, as wg-quick does.
 *
 * @module
 */

import { formatAddress, parseAddress } from "../config/address.ts";
import { publicKey } from "../public_key.ts";
import { readPeerNames } from "../show/names.ts";
import { diagnoseDevice } from "../client/devices.ts";
import { namespaceOf } from "../client/network_namespace.ts";
import { linkIndex } from "../client/system.ts";
import { systemDifferences } from "../quick/comparison.ts";
import { journals } from "../quick/journal.ts";
import { repairState } from "../quick/repair.ts";
import { QuickError } from "../quick/source.ts";
import { findUnrecorded, type FoundInterface, whereabouts } from "../quick/find_interface.ts";
import { readProgram } from "../quick/run_program.ts";
import { Errno } from "../uapi/errno.ts";
import type { UserspaceEnd } from "../uapi/diagnostics.ts";
import type { DeviceState } from "../uapi/get.ts";
import { UapiError } from "../uapi/lines.ts";
import { type DoctorFacts, type Route, routesNeeded } from "./diagnose.ts";

/** A prefix that runs a command in another network namespace. */
type Enter = readonly string[];

/**
 * Collects the facts of a running interface.
 *
 * @param target An address that cannot be reached, if one was given.
 * @throws {UapiError} If there is no such interface, or access is denied.
 */
export async function doctorFacts(name: string, target?: string): Promise<DoctorFacts> {
  const { state, backend, diagnostics } = await diagnoseDevice(name);
  if (diagnostics?.userspace) return await proxyFacts(name, state, diagnostics.userspace, target);
  const found = await findUnrecorded(name) ?? { name };
  const [inside, outside] = [linkNamespace(found), socketNamespace(found)];
  const [link] = await json<
    { flags: string[]; mtu: number; addr_info: { local: string; prefixlen: number }[] }
  >(inside, "address", "show", "dev", found.name);
  const needed = routesNeeded(state, target);
  const mark = state.fwmark === 0 ? [] : ["mark", String(state.fwmark)];
  const forwarding = await readProgram([...outside, "cat", "/proc/sys/net/ipv4/ip_forward"]);
  const where = whereabouts(found, name);
  return {
    name: found.name,
    backend,
    state,
    ...(where !== undefined && { where }),
    ...(state.privateKey && { publicKey: publicKey(state.privateKey) }),
    names: await readPeerNames(name),
    up: link?.flags.includes("UP") ?? false,
    addresses: link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`) ?? [],
    mtu: link?.mtu ?? 0,
    routes: new Map(await routesTo(inside, needed.inside)),
    endpointRoutes: new Map(await routesTo(outside, needed.endpoints, ...mark)),
    ...(where === undefined ? await recordOf(name) : { differences: [] }),
    firewall: await readProgram([...outside, "nft", "list", "ruleset"]),
    forwarding: forwarding.trim() !== "0",
    now: Math.floor(Date.now() / 1000),
    ...(target && { target }),
  };
}

/** The facts of a tunnel inside a program: it has no link, and no routes lead into it. */
async function proxyFacts(
  name: string,
  state: DeviceState,
  { mtu, addresses }: UserspaceEnd,
  target: string | undefined,
): Promise<DoctorFacts> {
  return {
    name,
    backend: "wgd",
    userspace: true,
    state,
    ...(state.privateKey && { publicKey: publicKey(state.privateKey) }),
    names: await readPeerNames(name),
    up: true,
    addresses,
    mtu,
    routes: new Map(),
    endpointRoutes: new Map(await routesTo([], routesNeeded(state).endpoints)),
    differences: [],
    firewall: await readProgram(["nft", "list", "ruleset"]),
    forwarding: true,
    now: Math.floor(Date.now() / 1000),
    ...(target && { target }),
  };
}

/**
 * What other programs have changed since `wgd quick up`, and whether it is repaired; nothing if there is no record, or
 * we may not read it.
 */
async function recordOf(name: string): Promise<Pick<DoctorFacts, "differences" | "repair">> {
  try {
    const journal = (await journals()).find((journal) => journal.name === name && journal.complete);
    if (!journal || journal.index !== linkIndex(name)) return { differences: [] };
    const differences = await systemDifferences(journal);
    const repair = repairState(journal);
    return { differences, ...(repair && { repair }) };
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied || error instanceof QuickError) {
      return { differences: [] };
    }
    throw error;
  }
}

/** How to enter the namespace of an interface's addresses and routes. */
function linkNamespace({ elsewhere }: FoundInterface): Enter {
  if (elsewhere === undefined) return [];
  const advice = "move the interface to one that ip netns knows, or call doctor there";
  const path = elsewhere?.path;
  if (path === undefined) {
    throw new UapiError(Errno.ENODEV, "the interface is in a network namespace that has no name", advice);
  }
  return ["nsenter", `--net=${path}`, "--"];
}

/** How to enter the namespace of an interface's sockets, in which its process was started. */
function socketNamespace({ process }: FoundInterface): Enter {
  const namespace = process && namespaceOf(process.pid);
  if (namespace === undefined || namespace === namespaceOf()) return [];
  return ["nsenter", `--net=/proc/${process!.pid}/ns/net`, "--"];
}

/** Queries all routes with one process, because a server may have thousands of peers. */
async function routesTo(
  enter: Enter,
  addresses: readonly string[],
  ...mark: string[]
): Promise<[string, Route][]> {
  if (addresses.length === 0) return [];
  const questions = addresses.map((address) => ["route", "get", address, ...mark].join(" ")).join("\n");
  const text = await readProgram([...enter, "ip", "-json", "-force", "-batch", "-"], `${questions}\n`);
  const links = await json<{ ifname: string; mtu: number }>(enter, "link");
  const mtus = new Map(links.map(({ ifname, mtu }) => [ifname, mtu]));
  const routes: [string, Route][] = [];
  for (const line of text.split("\n").filter(Boolean)) {
    const [route] = JSON.parse(line) as { dst: string; dev?: string; metrics?: { mtu?: number }[] }[];
    if (route?.dev === undefined) continue;
    const { dst, dev: device, metrics } = route;
    const own = metrics?.find(({ mtu }) => mtu !== undefined)?.mtu;
    routes.push([formatAddress(parseAddress(dst)!), { device, mtu: own ?? mtus.get(device) ?? Infinity }]);
  }
  return routes;
}

async function json<Row>(enter: Enter, ...args: string[]): Promise<Row[]> {
  const text = await readProgram([...enter, "ip", "-json", ...args]);
  return text.trim() === "" ? [] : JSON.parse(text);
}
