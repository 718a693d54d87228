/**
 * The keeper: the part of `wgd web` that runs as root. It makes interfaces and changes their peers. Only the keeper has
 * their keys.
 *
 * @module
 */

import * as v from "valibot";
import { equalBytes, formatKey, isZeroKey, type Key, parseKey } from "../../config/key.ts";
import { isInterfaceName } from "../../config/interface_name.ts";
import { parseAddress } from "../../config/address.ts";
import { parsePrefix } from "../../config/prefix.ts";
import { forEachPeer, getDiagnostics, getPrivateKey, setDevice } from "../../client/devices.ts";
import { listInterfaces } from "../../client/listing.ts";
import { publicKey } from "../../public_key.ts";
import { quickDown } from "../../quick/down.ts";
import type { QuickRunOptions } from "../../quick/source.ts";
import { quickUp } from "../../quick/up.ts";
import { type PeerChange, peerChange } from "../../uapi/set.ts";
import { CounterSlices } from "./counter_slices.ts";
import { readCounters } from "./counters.ts";
import type { KeptCertificate } from "./kept_certificate.ts";
import { KeeperFiles, type NetworkSecret } from "./files.ts";
import { PeerSetting, PeerSettings } from "./peer_setting.ts";
import { derivePresharedKey } from "./keys.ts";
import { isRoutedNetwork, takeTooMuch } from "../routed_network.ts";
import { setRoutes } from "./routes.ts";
import { KeeperError, type KeptNetwork, type KeptPeer, type Verb, type Verbs } from "./verbs.ts";

const interfaceText = v.pipe(v.string(), v.check(isInterfaceName, "not the name of an interface"));
const keyText = v.pipe(v.string(), v.check((text) => parseKey(text) !== null, "not a public key"));
const addressText = v.pipe(v.string(), v.check((text) => parseAddress(text) !== null, "not an address"));
const prefixText = v.pipe(v.string(), v.check((text) => parsePrefix(text) !== null, "not an address"));
const hostText = v.pipe(
  v.string(),
  v.maxLength(253),
  v.check(
    (text) => parseAddress(text) !== null || /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/i.test(text),
    "not a host name",
  ),
);
const networkText = v.pipe(v.string(), v.check(isRoutedNetwork, "not a network behind a device"));
const peers = v.array(v.strictObject({
  publicKey: keyText,
  addresses: v.array(addressText),
  networks: v.exactOptional(v.array(networkText)),
}));

/** The arguments of each request. They are checked, because the web process is not trusted. */
const TAKES = {
  networks: v.strictObject({}),
  makeNetwork: v.strictObject({
    interface: interfaceText,
    addresses: v.pipe(v.array(prefixText), v.minLength(1), v.maxLength(8)),
    listenPort: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)),
    mtu: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(576), v.maxValue(65535))),
  }),
  unsettle: v.strictObject({ interface: interfaceText }),
  unsettled: v.strictObject({}),
  settle: v.strictObject({ interface: interfaceText, keep: v.boolean() }),
  beginPeers: v.strictObject({ interface: interfaceText }),
  cutPeers: v.strictObject({ interface: interfaceText, attempt: v.number(), publicKeys: v.array(keyText) }),
  keepPeers: v.strictObject({ interface: interfaceText, attempt: v.number(), peers }),
  endPeers: v.strictObject({ interface: interfaceText, attempt: v.number() }),
  addPeers: v.strictObject({ interface: interfaceText, peers }),
  removePeers: v.strictObject({ interface: interfaceText, publicKeys: v.array(keyText) }),
  setRoutes: v.strictObject({
    interface: interfaceText,
    networks: v.pipe(
      v.array(networkText),
      v.check((networks) => !takeTooMuch(networks), "too large together to be behind devices"),
    ),
  }),
  presharedKey: v.strictObject({ interface: interfaceText, publicKey: keyText }),
  certificate: v.strictObject({ names: v.pipe(v.array(hostText), v.minLength(1), v.maxLength(64)) }),
  counters: v.strictObject({
    interface: interfaceText,
    since: v.number(),
    publicKeys: v.optional(v.array(keyText)),
  }),
  moreCounters: v.strictObject({ rest: v.number() }),
  strangers: v.strictObject({ interface: interfaceText }),
} as const satisfies Record<Verb, v.GenericSchema>;

/** What a keeper needs. */
export interface KeeperOptions {
  /** The folder of its files. Only root can read it. */
  readonly folder: string;
  /** How interfaces are brought up and down. */
  readonly quick: QuickRunOptions;
  /** Where the page's certificates come from. */
  readonly certificate: Pick<KeptCertificate, "get">;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** The keeper. It handles one request at a time. */
export class Keeper {
  readonly #files: KeeperFiles;
  readonly #options: KeeperOptions;
  readonly #secrets = new Map<string, NetworkSecret>();
  readonly #settings = new PeerSettings();
  readonly #counters = new CounterSlices();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#files = new KeeperFiles(options.folder);
  }

  /**
   * Brings up the interfaces that are not up. Unsettled ones stay down.
   *
   * @throws {KeeperError} If another interface has the same name.
   */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      const unsettled = new Set((await this.#files.unsettled()).map((one) => one.interface));
      for (const name of await this.#files.names()) {
        if (!unsettled.has(name)) await this.#bringUp(await this.#files.network(name));
      }
    });
  }

  /**
   * Handles a request.
   *
   * @param takes The unchecked arguments.
   * @param caller The connection that sent it.
   * @throws {KeeperError} If it fails.
   */
  do(verb: string, takes: unknown, caller: object = this): Promise<unknown> {
    if (!Object.hasOwn(TAKES, verb)) throw new KeeperError(`unknown request "${verb}"`);
    const parsed = v.safeParse(TAKES[verb as Verb], takes);
    if (!parsed.success) throw new KeeperError(`${verb}: ${parsed.issues[0].message}`);
    const act = this.#acts[verb as Verb] as (takes: unknown, caller: object) => Promise<unknown>;
    return this.#inTurn(() => act(parsed.output, caller));
  }

  /** Names of all its interfaces. */
  interfaces(): Promise<string[]> {
    return this.#files.names();
  }

  /** Ends what a connection has not finished. It must not have a request that is being handled. */
  forget(caller: object): void {
    this.#settings.endOf(caller);
    this.#counters.endOf(caller);
  }

  readonly #acts: {
    readonly [V in Verb]: (takes: Verbs[V]["takes"], caller: object) => Promise<Verbs[V]["gives"]>;
  } = {
    networks: async () => {
      const names = await this.#files.names();
      return await Promise.all(names.map((name) => this.#files.network(name)));
    },
    makeNetwork: async (wanted) => {
      if ((await this.#files.names()).includes(wanted.interface)) {
        throw new KeeperError(`the interface ${wanted.interface} already has a network`);
      }
      const network = await this.#files.make(wanted);
      try {
        await this.#bringUp(network);
      } catch (error) {
        await this.#files.remove(wanted.interface);
        throw error;
      }
      return network;
    },
    unsettle: async ({ interface: name }) => {
      await this.#files.unsettle(name);
      return null;
    },
    unsettled: async () => (await this.#files.unsettled()).map((one) => one.interface),
    settle: async ({ interface: name, keep }) => {
      const isWhole = (await this.#files.names()).includes(name);
      if (keep && isWhole) {
        await this.#bringUp(await this.#files.network(name));
        await this.#files.keep(name);
        return null;
      }
      const unsettled = (await this.#files.unsettled()).find((one) => one.interface === name);
      if (!unsettled) return null;
      if (isWhole && !unsettled.isAdopted) await this.#takeDown(name);
      await this.#files.remove(name);
      this.#secrets.delete(name);
      this.#settings.endAt(name);
      return null;
    },
    beginPeers: async ({ interface: name }, caller) => {
      await this.#require(name);
      const setting = new PeerSetting();
      await forEachPeer(name, (peer) => setting.existed(peer));
      return this.#settings.begin(caller, name, setting);
    },
    cutPeers: async ({ interface: name, attempt, publicKeys }) => {
      await this.#change(name, this.#settings.get(name, attempt).removal(publicKeys));
      return null;
    },
    keepPeers: async ({ interface: name, attempt, peers }) => {
      const wanted = await this.#changes(name, peers);
      const setting = this.#settings.get(name, attempt);
      const difference = setting.difference(wanted);
      // Another attempt must not remove those that stay as they are.
      this.#settings.named(name, wanted, setting);
      await this.#change(name, difference);
      return null;
    },
    endPeers: async ({ interface: name, attempt }) => {
      await this.#change(name, this.#settings.get(name, attempt).rest());
      this.#settings.end(attempt);
      return null;
    },
    addPeers: async ({ interface: name, peers }) => {
      await this.#require(name);
      await this.#change(name, await this.#changes(name, peers));
      return null;
    },
    removePeers: async ({ interface: name, publicKeys }) => {
      await this.#require(name);
      await this.#change(name, publicKeys.map((key) => peerChange(parseKey(key)!, { remove: true })));
      return null;
    },
    setRoutes: async ({ interface: name, networks }) => {
      await this.#require(name);
      return await setRoutes(name, networks);
    },
    presharedKey: async ({ interface: name, publicKey }) => {
      await this.#require(name);
      const key = await this.#presharedKey(name, parseKey(publicKey)!);
      return isZeroKey(key) ? "" : formatKey(key);
    },
    certificate: async ({ names }) => {
      const { certificate, clock } = this.#options;
      return await certificate.get(names, clock());
    },
    counters: async ({ interface: name, since, publicKeys }, caller) => {
      await this.#require(name);
      const selection = {
        ...(since > 0 && { since: Math.floor(since / 1e3) }),
        ...(publicKeys && { publicKeys: publicKeys.map((key) => parseKey(key)!) }),
      };
      return this.#counters.begin(caller, await readCounters(name, selection));
    },
    moreCounters: ({ rest }, caller) => Promise.try(() => this.#counters.more(caller, rest)),
    strangers: async ({ interface: name }) => {
      await this.#require(name);
      const drops = (await getDiagnostics(name))?.drops;
      if (!drops) return null;
      return {
        unknownKey: drops["protocol.unknownPeer"] ?? 0,
        wrongServerKey: drops["protocol.badMac1"] ?? 0,
      };
    },
  };

  /** Only the keeper's own interfaces can be changed, no others of this machine. */
  async #require(name: string): Promise<void> {
    if (this.#secrets.has(name) || (await this.#files.names()).includes(name)) return;
    throw new KeeperError(`there is no network at ${name}`);
  }

  async #change(name: string, peers: PeerChange[]): Promise<void> {
    if (peers.length === 0) return;
    // Before the change, because a part of it may have been made when it fails.
    this.#settings.changed(name, peers);
    await setDevice(name, { replacePeers: false, peers });
  }

  async #bringUp(network: KeptNetwork): Promise<void> {
    const { interface: name } = network;
    if (!(await listInterfaces()).includes(name)) {
      return await quickUp(this.#files.configPath(name), this.#options.quick);
    }
    if (await hasKey(name, network)) return;
    throw new KeeperError(
      `there is another interface named ${name}`,
      `take it down: wgd quick down ${name}`,
    );
  }

  /** Removes all peers of an interface and takes it down. */
  async #takeDown(name: string): Promise<void> {
    if (!(await listInterfaces()).includes(name)) return;
    if (!await hasKey(name, await this.#files.network(name))) return;
    // If a hook fails, the interface stays up, but without peers.
    await setDevice(name, { replacePeers: true, peers: [] });
    await quickDown(this.#files.configPath(name), this.#options.quick);
  }

  async #changes(name: string, peers: readonly KeptPeer[]): Promise<PeerChange[]> {
    const changes: PeerChange[] = [];
    for (const peer of peers) {
      const key = parseKey(peer.publicKey)!;
      changes.push(peerChange(key, {
        presharedKey: await this.#presharedKey(name, key),
        replaceAllowedIps: true,
        allowedIps: [...peer.addresses, ...peer.networks ?? []].map((text) => ({
          remove: false,
          prefix: parsePrefix(text)!,
        })),
      }));
    }
    return changes;
  }

  /** All zeros if the peer was imported without one. */
  async #presharedKey(name: string, peer: Key): Promise<Key> {
    let secret = this.#secrets.get(name);
    if (!secret) this.#secrets.set(name, secret = await this.#files.secret(name));
    const text = formatKey(peer);
    const imported = Object.hasOwn(secret.imported, text) ? secret.imported[text] : undefined;
    if (imported === null) return new Uint8Array(peer.length);
    if (imported !== undefined) return parseKey(imported)!;
    return derivePresharedKey(parseKey(secret.secret)!, secret.generation, peer);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

/** Whether a running interface belongs to a network, and is not another interface with the same name. */
async function hasKey(name: string, network: KeptNetwork): Promise<boolean> {
  const privateKey = await getPrivateKey(name);
  return privateKey !== undefined && equalBytes(publicKey(privateKey), parseKey(network.publicKey)!);
}
