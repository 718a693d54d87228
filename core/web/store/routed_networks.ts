/**
 * Networks behind devices, which the server reaches through their tunnels, as between two sites.
 *
 * @module
 */

import { overlap, parsePrefix } from "../../config/prefix.ts";
import type { Queries, Row } from "./database.ts";
import { TakenError } from "./errors.ts";

/**
 * A packet has one way, so networks behind devices overlap neither each other nor addresses of a VPN.
 *
 * @param deviceId The device that gets them.
 * @param wanted Networks such as `192.168.7.0/24`.
 * @throws {TakenError} If they overlap something.
 */
export async function requireFreeNetworks(
  queries: Queries,
  deviceId: string,
  wanted: readonly string[],
): Promise<void> {
  if (wanted.length === 0) return;
  const taken: [prefix: string, kind: "network" | "device" | "list", name: string][] = [];
  for (const { name, addresses } of await queries.all("SELECT name, addresses FROM networks")) {
    for (const address of JSON.parse(String(addresses))) taken.push([address, "network", String(name)]);
  }
  for (const row of await routing(queries)) {
    if (row.id === deviceId) continue;
    for (const prefix of listOf(row)) taken.push([prefix, "device", String(row.name)]);
  }
  for (const text of wanted) {
    const found = taken.find(([prefix]) => overlap(parsePrefix(text)!, parsePrefix(prefix)!));
    if (found) {
      const [other, kind, name] = found;
      const of = kind === "list" ? "the same device" : `the ${kind} "${name}"`;
      throw new TakenError(`${text} overlaps ${other} of ${of}`, "routedNetworks", {
        code: `overlaps-${kind}`,
        values: { network: text, other, name },
      });
    }
    taken.push([text, "list", ""]);
  }
}

/** @throws {TakenError} If one of a VPN's subnets overlaps a network behind a device. */
export async function requireUnrouted(queries: Queries, subnets: readonly string[]): Promise<void> {
  for (const row of await routing(queries)) {
    for (const prefix of listOf(row)) {
      const subnet = subnets.find((subnet) => overlap(parsePrefix(subnet)!, parsePrefix(prefix)!));
      if (subnet === undefined) continue;
      throw new TakenError(`${subnet} overlaps ${prefix}, which is behind "${row.name}"`, "address");
    }
  }
}

/** All networks behind devices of a network, also of those that are cut off. */
export async function routedNetworksOf(queries: Queries, networkId: string): Promise<string[]> {
  const rows = await queries.all(
    "SELECT routed_networks FROM devices WHERE network_id = ? AND routed_networks <> '[]'",
    networkId,
  );
  return rows.flatMap(listOf).sort();
}

/** The networks behind a device. */
export function listOf({ routed_networks }: Row): string[] {
  return JSON.parse(String(routed_networks));
}

async function routing(queries: Queries): Promise<Row[]> {
  return await queries.all("SELECT id, name, routed_networks FROM devices WHERE routed_networks <> '[]'");
}
