/**
 * `wgd peer` for a network of `wgd web`. It changes the same store, whether the server runs or not.
 *
 * @module
 */

import { listInterfaces } from "../client/listing.ts";
import { formatAddress } from "../config/address.ts";
import { parseConfig } from "../config/format.ts";
import { formatKey } from "../config/key.ts";
import { parsePrefix } from "../config/prefix.ts";
import { readAllowedIps } from "../config/values.ts";
import { getDevice } from "../client/devices.ts";
import { writeDurably } from "../durable_file.ts";
import { generatePrivateKey } from "../keys.ts";
import { type AddedPeer, type AddPeerOptions, requirePeerName } from "../peers/add.ts";
import type { ServerPeer } from "../peers/list.ts";
import { findPeer, PeersError } from "../peers/server_file.ts";
import { interfaceName } from "../client/system.ts";
import { publicKey } from "../public_key.ts";
import { peerJson } from "../show/json.ts";
import { clientConfig } from "./client_config.ts";
import { readServerEndpoint } from "./endpoint.ts";
import { openStore } from "./init.ts";
import { reachKeeper } from "./keeper/reach.ts";
import type { KeeperClient } from "./keeper/client.ts";
import { setRoutes } from "./device_routes.ts";
import { type Device, type DeviceQuery, LONGEST_NAME, type Network } from "./store/records.ts";
import type { Records, Store } from "./store/store.ts";

/** Devices that are read at once. */
const PAGE = 1_000;

/** The devices of a network, for a command that root runs. */
export class ServedClients implements AsyncDisposable {
  private constructor(
    private readonly store: Store,
    private readonly keeper: KeeperClient & Disposable,
    private readonly network: Network,
  ) {}

  /**
   * Opens the store of a server, and reaches its keeper.
   *
   * @param name Name of the interface.
   * @param database The URL of the server's database, if the command line says one.
   * @throws {PeersError} If the store does not have the network.
   */
  static async open(data: string, name: string, database?: string): Promise<ServedClients> {
    await using made = new AsyncDisposableStack();
    const store = made.use(await openStore(data, database));
    const network = (await store.networks.list()).find((network) => network.interface === name);
    if (!network) {
      throw new PeersError(
        `the database of ${data} has no network at ${name}`,
        "name the database of wgd web: --database URL",
      );
    }
    const keeper = made.use(await reachKeeper(data));
    made.move();
    return new ServedClients(store, keeper, network);
  }

  /**
   * Adds a client to the store and to the interface, if it runs, and writes the client's file. If a step fails, nothing
   * is added.
   *
   * @param output The client's file. It must not exist.
   * @throws {PeersError} If an option cannot be used, or a name, key or address is in use.
   */
  async add(name: string, output: string, options: AddPeerOptions): Promise<AddedPeer> {
    requirePeerName(name);
    if (name.length > LONGEST_NAME) {
      throw new PeersError(`invalid name for a peer: "${name}"`, `use at most ${LONGEST_NAME} characters`);
    }
    if ((await this.store.devices.called(this.network.id, name)).length > 0) {
      throw new PeersError(
        `${this.network.interface} already has a peer named "${name}"`,
        "choose another name",
      );
    }
    const network = this.#withOptions(options);
    const privateKey = generatePrivateKey();
    const addresses = options.addresses?.map(readAddress);
    options.signal?.throwIfAborted();
    const now = Date.now();
    const added = { networkId: network.id, name, publicKey: formatKey(publicKey(privateKey)), addresses };
    const device = await this.store.transaction(async (records) => {
      const device = await records.devices.add(added, now);
      await this.#note(records, "device.add", device);
      return device;
    });
    let isWritten = false;
    try {
      const isRunning = await this.#isRunning();
      if (isRunning) await this.#change("addPeers", device);
      const takes = { interface: network.interface, publicKey: device.publicKey };
      const presharedKey = await this.keeper.ask("presharedKey", takes);
      const config = clientConfig(device, network, presharedKey)
        .replace("[Interface]\n", `[Interface]\nPrivateKey = ${formatKey(privateKey)}\n`);
      const { address = [] } = parseConfig(config, { file: output });
      await writeDurably(output, new TextEncoder().encode(config), { createNew: true }).catch((error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        throw new PeersError(`"${output}" already exists`, "choose another file: --output FILE");
      });
      isWritten = true;
      return { config, addresses: address, running: isRunning };
    } catch (error) {
      if (isWritten) await Deno.remove(output).catch(() => {});
      await this.#undo(device, error);
      throw error;
    }
  }

  /** All clients by name, then peers that only the running interface has. */
  async list(): Promise<ServerPeer[]> {
    const { interface: name } = this.network;
    const state = await this.#isRunning() ? await getDevice(name) : undefined;
    const live = new Map(
      state?.peers.map((
        peer,
      ) => [formatKey(peer.publicKey), peerJson(peer, { names: new Map(), secrets: false, interfaceName })]),
    );
    const found: ServerPeer[] = [];
    for await (const device of this.#devices()) {
      const peer = live.get(device.publicKey);
      live.delete(device.publicKey);
      found.push(serverPeer(device, this.network, peer));
    }
    return [...found, ...[...live.values()].map((peer) => ({ ...peer, inFile: false, running: true }))];
  }

  /**
   * Removes a client. Its tunnel ends at once.
   *
   * @param who Its name or its public key.
   * @returns Its public key.
   * @throws {PeersError} If there is no such client, or several of that name.
   */
  async remove(who: string): Promise<string> {
    const { interface: name } = this.network;
    const found = await this.store.devices.called(this.network.id, who);
    const key = findPeer(new Map(found.map((device) => [device.publicKey, device.name])), who, name);
    const device = found.find(({ publicKey }) => publicKey === key);
    if (!device) throw new PeersError(`${name} has no peer ${key}`, `see all: wgd peer list ${name}`);
    await this.#removeEverywhere(device);
    return key;
  }

  /**
   * Removes the peer first, so that no tunnel stays open if the rest fails. The peer is removed again after the device
   * is removed from the store, since the web process may have set the interface's peers in between.
   */
  async #removeEverywhere(device: Device): Promise<void> {
    if (await this.#isRunning()) await this.#change("removePeers", device);
    await this.#removeFromStore(device);
    if (!await this.#isRunning()) return;
    await this.#change("removePeers", device);
    if (device.routedNetworks.length > 0) {
      await setRoutes({ store: this.store, keeper: this.keeper }, this.network);
    }
  }

  /**
   * Removes the device from the store first, because the keeper may not respond. A peer that stays on the interface is
   * harmless, because its private key is lost, and it is removed when the peers are set the next time.
   *
   * @param cause Why it was not added.
   * @throws {PeersError} If the device stays.
   */
  async #undo(device: Device, cause: unknown): Promise<void> {
    try {
      await this.#removeFromStore(device);
    } catch (error) {
      const reasons = [cause, error].map((each) => each instanceof Error ? each.message : String(each));
      throw new PeersError(
        `${reasons[0]}; and ${device.name} could not be removed from the database: ${reasons[1]}`,
        `remove it, because its private key is lost: wgd peer remove ${this.network.interface} ${device.publicKey}`,
      );
    }
    try {
      if (await this.#isRunning()) await this.#change("removePeers", device);
    } catch {
      // The cause is shown.
    }
  }

  async #removeFromStore(device: Device): Promise<void> {
    await this.store.transaction(async (records) => {
      if (await records.devices.remove(device.id)) await this.#note(records, "device.remove", device);
    });
  }

  async #change(verb: "addPeers" | "removePeers", { publicKey, addresses }: Device): Promise<void> {
    const { interface: name } = this.network;
    if (verb === "removePeers") await this.keeper.ask(verb, { interface: name, publicKeys: [publicKey] });
    else await this.keeper.ask(verb, { interface: name, peers: [{ publicKey, addresses }] });
  }

  async #note({ events }: Records, action: string, { id, name, addresses }: Device): Promise<void> {
    await events.add({
      actor: "system",
      action,
      target: `device:${id}`,
      address: null,
      detail: { name, network: this.network.name, addresses, by: "wgd peer" },
    }, Date.now());
  }

  async #isRunning(): Promise<boolean> {
    return (await listInterfaces()).includes(this.network.interface);
  }

  async *#devices(): AsyncGenerator<Device> {
    let cursor: string | undefined;
    do {
      const query: DeviceQuery = { networkId: this.network.id, limit: PAGE, cursor };
      const { items, next } = await this.store.devices.list(query, Date.now());
      yield* items;
      cursor = next ?? undefined;
    } while (cursor !== undefined);
  }

  #withOptions({ endpoint, dns, allowedIps, presharedKey }: AddPeerOptions): Network {
    if (presharedKey === false) {
      throw new PeersError(
        "devices of wgd web always have a preshared key",
        "leave out --no-preshared-key",
      );
    }
    if (allowedIps !== undefined) readAllowedIps(allowedIps.replace(/\s/g, ""), () => {});
    const list = (text: string) => text.split(",").map((word) => word.trim()).filter(Boolean);
    return {
      ...this.network,
      ...(endpoint !== undefined &&
        { endpoint: readServerEndpoint(endpoint, this.network.listenPort).endpoint }),
      ...(dns !== undefined && { dns: list(dns) }),
      ...(allowedIps !== undefined && { allowedIps: list(allowedIps) }),
    };
  }

  /** Closes the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.keeper[Symbol.dispose]();
    await this.store[Symbol.asyncDispose]();
  }
}

/** @throws {PeersError} If it is not the address of one device. */
function readAddress(text: string): string {
  const prefix = parsePrefix(text);
  if (prefix === null) throw new PeersError(`not an address: "${text}"`, "as in --address 10.0.0.7,fd00::7");
  if (prefix.length === (prefix.family === 4 ? 32 : 128)) return formatAddress(prefix.address);
  throw new PeersError(`${text} is a network`, "a device of wgd web has single addresses");
}

function serverPeer(
  { name, publicKey, addresses, routedNetworks, endpoint, rxBytes, txBytes, lastHandshakeAt }: Device,
  { keepalive }: Network,
  live: Omit<ServerPeer, "inFile" | "running"> | undefined,
): ServerPeer {
  const kept = {
    publicKey,
    hasPresharedKey: true,
    endpoint,
    allowedIps: [
      ...addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
      ...routedNetworks,
    ],
    latestHandshake: lastHandshakeAt === 0 ? null : Math.floor(lastHandshakeAt / 1_000),
    rxBytes,
    txBytes,
    persistentKeepalive: keepalive,
  };
  return { ...live ?? kept, name, inFile: true, running: live !== undefined };
}
