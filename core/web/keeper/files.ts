/**
 * The keeper's files, which only root can read. Each network has a configuration file with only the [Interface]
 * section, and a file with the secret from which preshared keys are derived.
 *
 * The store and these files cannot be changed in one step. While a network is made or removed, a third file marks it as
 * unsettled. After a crash, the store decides: if it has the network, the files are kept; otherwise they are removed.
 *
 * @module
 */

import { formatConfig, parseConfig } from "../../config/format.ts";
import { formatKey } from "../../config/key.ts";
import { isInterfaceName } from "../../config/interface_name.ts";
import { readConfigFile } from "../../config_file.ts";
import { removeAside, writeDurably } from "../../durable_file.ts";
import { generatePresharedKey, generatePrivateKey } from "../../keys.ts";
import { publicKey } from "../../public_key.ts";
import { KeeperError, type KeptNetwork } from "./verbs.ts";

/** Suffix of the file that marks a network as unsettled. */
const UNSETTLED = ".unsettled";
/** Content of that file for an imported interface. */
const ADOPTED = "adopted";

/** The secret from which preshared keys of a network are derived. */
export interface NetworkSecret {
  /** 32 bytes in base64. */
  readonly secret: string;
  readonly generation: number;
  /** Preshared keys of imported peers by public key; null for none. */
  readonly imported: Readonly<Record<string, string | null>>;
}

/** An unsettled interface. */
export interface Unsettled {
  readonly interface: string;
  /** It was imported, so it is not taken down if it is removed. */
  readonly isAdopted: boolean;
}

/** The files of one keeper. */
export class KeeperFiles {
  /** @param folder Only root can read it. */
  constructor(readonly folder: string) {}

  /** The configuration file of an interface. */
  configPath(name: string): string {
    return `${this.folder}/${name}.conf`;
  }

  #secretPath(name: string): string {
    return `${this.folder}/${name}.secret.json`;
  }

  #unsettledPath(name: string): string {
    return `${this.folder}/${name}${UNSETTLED}`;
  }

  /** Names of all interfaces. */
  async names(): Promise<string[]> {
    return await this.#namesOf(".conf");
  }

  async #namesOf(suffix: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(this.folder)) {
      if (name.endsWith(suffix)) names.push(name.slice(0, -suffix.length));
    }
    return names.filter(isInterfaceName).sort();
  }

  /** Unsettled interfaces. Some of their files may be missing. */
  async unsettled(): Promise<Unsettled[]> {
    const all: Unsettled[] = [];
    for (const name of await this.#namesOf(UNSETTLED)) {
      const text = await Deno.readTextFile(this.#unsettledPath(name));
      all.push({ interface: name, isAdopted: text.trim() === ADOPTED });
    }
    return all;
  }

  /** Marks a network, if it exists, as unsettled. */
  async unsettle(name: string): Promise<void> {
    if (!(await this.names()).includes(name)) return;
    await this.#write(this.#unsettledPath(name), "", { createNew: false });
  }

  /** Keeps a network. */
  async keep(name: string): Promise<void> {
    await removeIfThere(this.#unsettledPath(name));
  }

  /** Reads an interface's file. */
  async network(name: string): Promise<KeptNetwork> {
    const path = this.configPath(name);
    const { text } = await readConfigFile(path);
    const config = parseConfig(text, { file: path });
    if (!config.privateKey) throw new KeeperError(`${path} has no PrivateKey`);
    return {
      interface: name,
      publicKey: formatKey(publicKey(config.privateKey)),
      listenPort: config.listenPort ?? 0,
      addresses: config.address ?? [],
      mtu: config.mtu ?? null,
    };
  }

  /** The secret of an interface. */
  async secret(name: string): Promise<NetworkSecret> {
    return JSON.parse(await Deno.readTextFile(this.#secretPath(name)));
  }

  /**
   * Makes the files of a new network, with new keys. It is unsettled.
   *
   * @throws {KeeperError} If they already exist.
   */
  async make(network: Omit<KeptNetwork, "publicKey">): Promise<KeptNetwork> {
    const { interface: name, listenPort, addresses, mtu } = network;
    const privateKey = generatePrivateKey();
    const text = formatConfig({
      privateKey,
      listenPort,
      address: [...addresses],
      ...(mtu !== null && { mtu }),
      peers: [],
    });
    await this.#writeNew(name, "", text, {});
    return { ...network, publicKey: formatKey(publicKey(privateKey)) };
  }

  /**
   * Makes the files of an imported network. It is unsettled.
   *
   * @param text Its [Interface] section, with the private key.
   * @param imported Preshared keys of its peers, by public key.
   * @throws {KeeperError} If they already exist.
   */
  async adopt(name: string, text: string, imported: NetworkSecret["imported"]): Promise<void> {
    await this.#writeNew(name, ADOPTED, text, imported);
  }

  async #writeNew(name: string, origin: string, text: string, imported: NetworkSecret["imported"]) {
    const path = this.configPath(name);
    if ((await this.names()).includes(name)) throw new KeeperError(`"${path}" already exists`);
    const secret: NetworkSecret = { secret: formatKey(generatePresharedKey()), generation: 1, imported };
    await this.#write(this.#unsettledPath(name), origin);
    await this.#write(this.#secretPath(name), JSON.stringify(secret));
    await this.#write(path, text);
  }

  /** Removes the files of a network that exist. The mark that it is unsettled is removed last. */
  async remove(name: string): Promise<void> {
    for (const path of [this.configPath(name), this.#secretPath(name), this.#unsettledPath(name)]) {
      await removeIfThere(path);
      // A process that was killed while it wrote has left a part of the file.
      removeAside(path);
    }
  }

  async #write(path: string, text: string, { createNew = true } = {}): Promise<void> {
    try {
      await writeDurably(path, new TextEncoder().encode(text), { createNew, mode: 0o600 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new KeeperError(`"${path}" already exists`);
    }
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
