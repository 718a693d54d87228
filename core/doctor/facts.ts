/**
 * What `diagnose` wants to know of this machine. Tools of the system are asked, as wg-quick asks them.
 *
 * @module
 */

import { formatAddress, parseAddress } from "../config/address.ts";
import { publicKey } from "../public_key.ts";
import { readPeerNames } from "../show/names.ts";
import { getDevice } from "../client/client.ts";
import { type DoctorFacts, type Route, routesNeeded } from "./diagnose.ts";

/**
 * Gathers the facts of a running interface.
 *
 * @param target An address that cannot be reached, if somebody named one.
 * @throws {UapiError} If there is no such interface or it may not be reached.
 */
export async function doctorFacts(name: string, target?: string): Promise<DoctorFacts> {
  const state = await getDevice(name);
  const [link] = await json<
    { flags: string[]; mtu: number; addr_info: { local: string; prefixlen: number }[] }
  >(
    ...["address", "show", "dev", name],
  );
  const { endpoints, inside } = routesNeeded(state, target);
  const routes = new Map([
    ...await routesTo(inside),
    ...await routesTo(endpoints, ...(state.fwmark === 0 ? [] : ["mark", String(state.fwmark)])),
  ]);
  return {
    name,
    state,
    ...(state.privateKey && { publicKey: publicKey(state.privateKey) }),
    names: await readPeerNames(name),
    up: link?.flags.includes("UP") ?? false,
    addresses: link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`) ?? [],
    mtu: link?.mtu ?? 0,
    routes,
    firewall: await output(["nft", "list", "ruleset"]),
    forwarding: (await Deno.readTextFile("/proc/sys/net/ipv4/ip_forward")).trim() !== "0",
    now: Math.floor(Date.now() / 1000),
    ...(target && { target }),
  };
}

/** Asks for all routes at once: a server may have thousands of peers. */
async function routesTo(addresses: readonly string[], ...mark: string[]): Promise<[string, Route][]> {
  if (addresses.length === 0) return [];
  const questions = addresses.map((address) => ["route", "get", address, ...mark].join(" ")).join("\n");
  const text = await output(["ip", "-json", "-force", "-batch", "-"], `${questions}\n`);
  const links = await json<{ ifname: string; mtu: number }>("link");
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

async function json<Row>(...args: string[]): Promise<Row[]> {
  const text = await output(["ip", "-json", ...args]);
  return text.trim() === "" ? [] : JSON.parse(text);
}

/** What a program prints; nothing if it is not there, for then there is nothing to be known. */
async function output([program, ...args]: readonly string[], input = ""): Promise<string> {
  try {
    const child = new Deno.Command(program!, { args, stdin: "piped", stdout: "piped", stderr: "null" })
      .spawn();
    const writer = child.stdin.getWriter();
    // Whoever does not read what there is to read has said all there is to say.
    void writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
    return new TextDecoder().decode((await child.output()).stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
