/**
 * Adds networks, in the store and at the keeper.
 *
 * @module
 */

import { containsPrefix, parsePrefix } from "../config/prefix.ts";
import { ownSubnets, readServerEndpoint } from "./endpoint.ts";
import type { Interfaces } from "./interfaces.ts";
import { TakenError } from "./store/errors.ts";
import type { Network } from "./store/records.ts";
import type { Records } from "./store/store.ts";

/** The settings of a new network. */
export interface WantedNetwork {
  /** Name of the network and of its interface. */
  readonly name: string;
  /** The server's own addresses with prefix lengths. */
  readonly addresses: readonly string[];
  /** The server's endpoint for clients, `host` or `host:port`. */
  readonly endpoint: string;
  readonly dns?: readonly string[] | undefined;
  /** The allowed IPs of clients. @default The network's own subnets. */
  readonly allowedIps?: readonly string[] | undefined;
  readonly mtu?: number | null | undefined;
  readonly keepalive?: number | null | undefined;
}

/**
 * Makes a network and its interface, inside `changeTogether`. The page, `init` and the setup all use this.
 *
 * @throws {EndpointError} If clients cannot use the endpoint.
 * @throws {SubnetError} If an address has no room for clients.
 * @throws {TakenError} If another network has the name, or one of the addresses.
 * @throws {KeeperError} If the interface cannot be made.
 */
export async function addNetwork(
  records: Records,
  interfaces: Pick<Interfaces, "make">,
  wanted: WantedNetwork,
  now: number,
): Promise<Network> {
  const { name, addresses, dns = [], mtu = null, keepalive = null } = wanted;
  const { endpoint, port } = readServerEndpoint(wanted.endpoint);
  const subnets = ownSubnets(addresses);
  const others = await records.networks.list();
  if (others.some((other) => other.name === name || other.interface === name)) {
    throw new TakenError(`a network named "${name}" already exists`, "name");
  }
  requireOwnRoom(subnets, others);
  const { publicKey } = await interfaces.make({ interface: name, addresses, listenPort: port, mtu });
  return await records.networks.add({
    name,
    interface: name,
    addresses,
    endpoint,
    dns,
    allowedIps: wanted.allowedIps ?? subnets,
    mtu,
    keepalive,
    publicKey,
    listenPort: port,
  }, now);
}

/** A network as the audit log shows it. */
export function networkDetail({ name, addresses, endpoint }: Network): Record<string, unknown> {
  return { name, addresses, endpoint };
}

/**
 * Packets to an address can only be routed to one interface.
 *
 * @throws {TakenError} If another network has some of the addresses.
 */
export function requireOwnRoom(subnets: readonly string[], others: readonly Network[]): void {
  for (const subnet of subnets) {
    const prefix = parsePrefix(subnet)!;
    const other = others.find(({ addresses }) =>
      addresses.map((address) => parsePrefix(address)!).some((its) =>
        containsPrefix(its, prefix) || containsPrefix(prefix, its)
      )
    );
    if (other) throw new TakenError(`the network "${other.name}" has addresses in ${subnet}`, "address");
  }
}
