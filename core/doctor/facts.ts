/**
 * What `diagnose` wants to know of this machine. Tools of the system are asked, as wg-quick asks them.
 *
 * @module
 */

import { publicKey } from "../public_key.ts";
import { readPeerNames } from "../show/names.ts";
import { getDevice } from "../uapi/client.ts";
import { type DoctorFacts, routesNeeded } from "./diagnose.ts";

/**
 * Gathers the facts of a running interface.
 *
 * @param target An address that cannot be reached, if somebody named one.
 * @throws {UapiError} If no process answers for the interface.
 */
export async function doctorFacts(name: string, target?: string): Promise<DoctorFacts> {
  const state = await getDevice(name);
  const [link] = await json<{ flags: string[]; addr_info: { local: string; prefixlen: number }[] }>(
    ...["address", "show", "dev", name],
  );
  const { endpoints, inside } = routesNeeded(state, target);
  const routes = new Map<string, string | null>();
  for (const address of inside) routes.set(address, await route(address));
  const mark = state.fwmark === 0 ? [] : ["mark", String(state.fwmark)];
  for (const address of endpoints) routes.set(address, await route(address, ...mark));
  return {
    name,
    state,
    ...(state.privateKey && { publicKey: publicKey(state.privateKey) }),
    names: await readPeerNames(name),
    up: link?.flags.includes("UP") ?? false,
    addresses: link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`) ?? [],
    routes,
    firewall: await output("nft", "list", "ruleset"),
    forwarding: (await Deno.readTextFile("/proc/sys/net/ipv4/ip_forward")).trim() !== "0",
    now: Math.floor(Date.now() / 1000),
    ...(target && { target }),
  };
}

async function route(address: string, ...mark: string[]): Promise<string | null> {
  const [route] = await json<{ dev?: string }>("route", "get", address, ...mark);
  return route?.dev ?? null;
}

async function json<Row>(...args: string[]): Promise<Row[]> {
  const text = await output("ip", "-json", ...args);
  return text.trim() === "" ? [] : JSON.parse(text);
}

/** What a program prints; nothing if it fails or is not there, for then there is nothing to be known. */
async function output(program: string, ...args: string[]): Promise<string> {
  try {
    const { success, stdout } = await new Deno.Command(program, { args, stdin: "null", stderr: "null" })
      .output();
    return success ? new TextDecoder().decode(stdout) : "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
