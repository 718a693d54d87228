/**
 * Cables between hosts.
 *
 * @module
 */

import { must } from "./exec.ts";
import { Host } from "./host.ts";

/** One end of a cable. */
export interface End {
  readonly host: Host;
  /** Name of the interface. */
  readonly name: string;
  /** Addresses with prefix lengths, of either family. */
  readonly addresses?: readonly string[];
}

/** Hosts that come up together and are taken down together. */
export class Network {
  readonly #hosts: Host[] = [];

  /** Makes hosts that know nothing of each other. */
  static async create<Names extends string[]>(
    ...names: Names
  ): Promise<Network & { hosts: { [I in keyof Names]: Host } }> {
    const network = new Network();
    try {
      for (const name of names) network.#hosts.push(await Host.create(name));
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return Object.assign(network, { hosts: [...network.#hosts] as { [I in keyof Names]: Host } });
  }

  /** Ends the hosts and everything on them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host[Symbol.asyncDispose]()));
  }
}

/** Lays a cable (a veth pair) between two hosts and brings it up. */
export async function connect(one: End, other: End): Promise<void> {
  const ends = [["name", one.name, "netns", one.host.pid], ["name", other.name, "netns", other.host.pid]];
  await must(["ip", "link", "add", ...ends[0]!.map(String), "type", "veth", "peer", ...ends[1]!.map(String)]);
  for (const { host, name, addresses = [] } of [one, other]) {
    await addAddresses(host, name, addresses);
    await host.ok("ip", "link", "set", name, "up");
  }
}

/** Adds addresses to an interface; those of IPv6 can be used at once. */
export async function addAddresses(
  host: { sh(script: string): Promise<string> },
  name: string,
  addresses: readonly string[],
): Promise<void> {
  const lines = addresses.map((address) =>
    `ip address add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`
  );
  if (lines.length > 0) await host.sh(lines.join("\n"));
}

/**
 * Makes a cable bad in the direction out of a host.
 *
 * @param host The host.
 * @param name The interface.
 * @param faults What `tc … netem` takes: `loss 5%`, `delay 100ms 20ms`, `duplicate 10%`, `corrupt 5%`; none mends it.
 */
export async function impair(host: Host, name: string, ...faults: string[]): Promise<void> {
  if (faults.length === 0) return void await host.run(["tc", "qdisc", "del", "dev", name, "root"]);
  await host.ok(
    "tc",
    "qdisc",
    "replace",
    "dev",
    name,
    "root",
    "netem",
    ...faults.flatMap((fault) => fault.split(" ")),
  );
}
