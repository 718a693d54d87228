/**
 * Plans an import: what it makes, and conflicts.
 *
 * @module
 */

import { formatAddress, parseAddress } from "../../config/address.ts";
import { isInterfaceName } from "../../config/interface_name.ts";
import { isZeroKey, parseKey } from "../../config/key.ts";
import { formatPrefix, overlap, parsePrefix, type Prefix } from "../../config/prefix.ts";
import { ownSubnets, readServerEndpoint } from "../endpoint.ts";
import { requireOwnRoom } from "../networks.ts";
import type { Network, NewDevice } from "../store/records.ts";
import { TakenError } from "../store/errors.ts";
import { canBeBehind } from "../routed_network.ts";
import { hostOf, readSubnet } from "../store/subnet.ts";
import type { Found, FoundPeer } from "./found.ts";

/** Values of the command line that replace those of the source. */
export interface ImportChoices {
  readonly network?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly dns?: readonly string[] | undefined;
}

/** A device to make. */
export interface PlannedDevice extends Omit<NewDevice, "networkId"> {
  readonly addresses: readonly string[];
  readonly routedNetworks: readonly string[];
  readonly enabled: boolean;
}

/** The result of the import. */
export interface ImportPlan {
  readonly network: Omit<Network, "id" | "createdAt">;
  readonly devices: readonly PlannedDevice[];
  /** Why it is not possible; empty if it is. */
  readonly conflicts: readonly string[];
}

/**
 * Plans an import.
 *
 * @param others Existing networks of the server.
 * @throws {EndpointError} If clients cannot use the endpoint.
 * @throws {SubnetError} If an address of the server has no room for clients.
 */
export function planImport(found: Found, choices: ImportChoices, others: readonly Network[]): ImportPlan {
  const conflicts: string[] = [];
  const name = choices.network ?? found.interface ?? "";
  if (!isInterfaceName(name)) conflicts.push("the interface has no name: use --network NAME");
  const same = others.find((other) => other.name === name || other.interface === name);
  if (same) conflicts.push(`a network named ${name} already exists`);
  const subnets = ownSubnets(found.addresses);
  if (found.addresses.length === 0) conflicts.push("the server has no address");
  try {
    requireOwnRoom(subnets, others);
  } catch (error) {
    if (!(error instanceof TakenError)) throw error;
    conflicts.push(error.message);
  }
  const port = others.find(({ listenPort }) => listenPort === found.listenPort);
  if (port) conflicts.push(`the network ${port.name} already listens on UDP port ${found.listenPort}`);
  const endpoint = choices.endpoint ?? found.endpoint;
  if (!endpoint) conflicts.push("the server's endpoint for devices is not known: use --endpoint HOST[:PORT]");
  return {
    network: {
      name,
      interface: name,
      addresses: found.addresses,
      endpoint: endpoint ? readServerEndpoint(withPort(endpoint, found.listenPort)).endpoint : "",
      dns: choices.dns ?? found.dns ?? [],
      allowedIps: found.clientAllowedIps ?? subnets,
      mtu: found.mtu ?? null,
      keepalive: found.keepalive ?? null,
      publicKey: found.publicKey,
      listenPort: found.listenPort,
    },
    devices: planDevices(found, subnets, others, conflicts),
    conflicts,
  };
}

function withPort(endpoint: string, port: number): string {
  const bare = /^\[[^\]]+\]$/.test(endpoint) || !endpoint.includes(":");
  return bare ? `${endpoint}:${port}` : endpoint;
}

function planDevices(
  found: Found,
  subnets: readonly string[],
  others: readonly Network[],
  conflicts: string[],
): PlannedDevice[] {
  const routed = new RoutedNetworks([...subnets, ...others.flatMap(({ addresses }) => addresses)]);
  const own = new Set(
    found.addresses.map((address) => formatAddress(parseAddress(address.replace(/\/.*/, ""))!)),
  );
  const keys = new Set<string>();
  const taken = new Map<string, string>();
  return found.peers.map((peer) => {
    const { publicKey } = peer;
    const shown = peer.name === undefined ? publicKey : `${peer.name} (${publicKey})`;
    const key = parseKey(publicKey);
    if (key === null || isZeroKey(key)) conflicts.push(`${shown}: this is not a public key`);
    if (keys.has(publicKey)) conflicts.push(`${shown}: another peer has the same public key`);
    keys.add(publicKey);
    const isOwnRoom = (text: string) => {
      const address = hostAddress(text);
      return address !== undefined &&
        subnets.some((subnet) => hostOf(subnet, parseAddress(address)!) !== undefined);
    };
    const addresses = peer.allowedIps.filter(isOwnRoom).flatMap((text) => {
      const address = hostAddress(text)!;
      const why = own.has(address)
        ? "is the server's"
        : taken.has(address)
        ? `is also the address of ${taken.get(address)}`
        : undefined;
      if (why !== undefined) {
        conflicts.push(`${shown}: ${text} ${why}`);
        return [];
      }
      taken.set(address, shown);
      return [address];
    });
    const beyond = peer.allowedIps.filter((text) => !isOwnRoom(text));
    if (peer.allowedIps.length === 0) conflicts.push(`${shown}: it has no address`);
    // The router of a site may have no address of its own. Single addresses alone are a device of other addresses.
    if (beyond.length === peer.allowedIps.length && beyond.every((text) => hostAddress(text) !== undefined)) {
      conflicts.push(
        ...beyond.map((text) =>
          `${shown}: ${text} is not in ${
            subnets.join(" or ")
          }: give the server an address that has it in its network`
        ),
      );
    }
    const routedNetworks = beyond.flatMap((text) => {
      const prefix = parsePrefix(text);
      const why = prefix ? routed.take(prefix, shown) : "is not a network";
      if (why !== undefined) conflicts.push(`${shown}: ${text} ${why}`);
      return why === undefined ? [formatPrefix(prefix!)] : [];
    });
    return {
      name: deviceName(peer, [...addresses, ...routedNetworks]),
      publicKey,
      addresses,
      routedNetworks,
      enabled: peer.enabled,
      ...(peer.expiresAt !== undefined && { expiresAt: peer.expiresAt }),
    };
  });
}

/** The networks behind devices. Each packet has one way, so they do not overlap. */
class RoutedNetworks {
  readonly #taken: [prefix: Prefix, of: string][];

  /** @param addresses The servers' own addresses and subnets. */
  constructor(addresses: readonly string[]) {
    this.#taken = addresses.map((text) => [parsePrefix(text)!, "the server"]);
  }

  /** @returns Why it cannot be behind a device. */
  take(prefix: Prefix, device: string): string | undefined {
    if (prefix.length < 8) return "is not a network behind a device: its prefix is too short";
    if (!canBeBehind(prefix)) return "is not a network behind a device: it is reserved";
    const found = this.#taken.find(([other]) => overlap(prefix, other));
    if (found) return `overlaps ${formatPrefix(found[0])} of ${found[1]}`;
    this.#taken.push([prefix, device]);
    return undefined;
  }
}

/** A name that the API allows. If there is none, the first address or network. */
function deviceName({ name = "", publicKey }: FoundPeer, addresses: readonly string[]): string {
  const clean = name.replace(/\p{C}/gu, " ").trim().slice(0, 64).trim();
  return clean || addresses[0] || publicKey;
}

function hostAddress(text: string): string | undefined {
  const prefix = parsePrefix(text);
  if (!prefix || prefix.length !== (prefix.family === 4 ? 32 : 128)) return undefined;
  return formatAddress(prefix.address);
}

/** The server's address in a subnet that is written with its first address, such as 10.8.0.0/24. */
export function firstAddress(subnet: string): string {
  const { subnet: masked, host } = readSubnet(subnet);
  const [base, length] = masked.split("/") as [string, string];
  if (host !== 0) return subnet;
  const bytes = Uint8Array.from(parseAddress(base)!);
  bytes[bytes.length - 1]! += 1;
  return `${formatAddress(bytes)}/${length}`;
}
