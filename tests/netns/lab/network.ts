/**
 * Cables between hosts.
 *
 * @module
 */

import { eventually, must } from "./exec.ts";
import { Host } from "./host.ts";

/** One end of a cable. */
export interface End {
  readonly host: Host;
  /** Name of the interface. */
  readonly name: string;
  /** Addresses with prefix lengths, of either family. */
  readonly addresses?: readonly string[];
}

/** Hosts that are made and ended together. */
export class Network {
  readonly #hosts: Host[] = [];

  /** Makes hosts that are not connected to each other. */
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

/** Connects two hosts with a cable (a veth pair) and brings it up. */
export async function connect(one: End, other: End): Promise<void> {
  const ends = [["name", one.name, "netns", one.host.pid], ["name", other.name, "netns", other.host.pid]];
  await must(["ip", "link", "add", ...ends[0]!.map(String), "type", "veth", "peer", ...ends[1]!.map(String)]);
  for (const { host, name, addresses = [] } of [one, other]) {
    await addAddresses(host, name, addresses);
    // Else the link-local address appears up to two seconds later. Chromium ends all requests when an address appears.
    await host.sh(`echo 0 > /proc/sys/net/ipv6/conf/${name}/accept_dad; ip link set ${name} up`);
  }
  // The kernel sees the carrier a moment later, and drops what is sent before.
  for (const { host, name } of [one, other]) {
    await eventually(
      `the carrier of ${name}`,
      async () => / state UP /.test(await host.ok("ip", "-oneline", "link", "show", "dev", name)),
    );
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
 * Makes a host lose received packets. (Many kernels lack netem, but not nftables. {@link relay.ts} can also delay,
 * duplicate and damage packets.)
 *
 * @param host The host.
 * @param name The interface they arrive at.
 * @param percent How many of a hundred are lost, at random. 0 ends the loss.
 */
export async function lose(host: Host, name: string, percent: number): Promise<void> {
  await host.run(["nft", "delete", "table", "netdev", "lossy"]);
  if (percent === 0) return;
  await must(host.enter(["nft", "-f", "-"]), {
    stdin: `table netdev lossy {
      chain ingress { type filter hook ingress device ${name} priority 0; numgen random mod 100 <= ${
      percent - 1
    } drop; }
    }`,
  });
}
