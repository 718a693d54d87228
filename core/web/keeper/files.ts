/**
 * The keeper's files, which only root can read. Each network has a configuration file with only the [Interface]
 * section, and a file with the secret from which preshared keys are derived.
 *
 * @module
 */

import { formatConfig, parseConfig } from "../../config/format.ts";
import { formatKey } from "../../config/key.ts";
import { isInterfaceName } from "../../config/interface_name.ts";
import { readConfigFile } from "../../config_file.ts";
import { writeDurably } from "../../durable_file.ts";
import { generatePresharedKey, generatePrivateKey } from "../../keys.ts";
import { publicKey } from "../../public_key.ts";
import { KeeperError, type KeptNetwork } from "./verbs.ts";

/** The secret from which preshared keys of a network are derived. */
export interface NetworkSecret {
  /** 32 bytes in base64. */
  readonly secret: string;
  readonly generation: number;
  /** Preshared keys of imported peers by public key; null for none. */
  readonly imported: Readonly<Record<string, string | null>>;
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

  /** Names of all interfaces. */
  async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(this.folder)) {
      if (name.endsWith(".conf")) names.push(name.slice(0, -".conf".length));
    }
    return names.filter(isInterfaceName).sort();
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
   * Makes the files of a new network, with new keys.
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
    const secret: NetworkSecret = { secret: formatKey(generatePresharedKey()), generation: 1, imported: {} };
    await this.#write(this.#secretPath(name), JSON.stringify(secret));
    await this.#write(this.configPath(name), text);
    return { ...network, publicKey: formatKey(publicKey(privateKey)) };
  }

  /**
   * Makes the files of an imported network.
   *
   * @param text Its [Interface] section, with the private key.
   * @param imported Preshared keys of its peers, by public key.
   * @throws {KeeperError} If they already exist.
   */
  async adopt(name: string, text: string, imported: NetworkSecret["imported"]): Promise<void> {
    const secret: NetworkSecret = { secret: formatKey(generatePresharedKey()), generation: 1, imported };
    await this.#write(this.#secretPath(name), JSON.stringify(secret));
    await this.#write(this.configPath(name), text);
  }

  /** Removes the files of a network. */
  async remove(name: string): Promise<void> {
    await Deno.remove(this.configPath(name));
    await Deno.remove(this.#secretPath(name));
  }

  async #write(path: string, text: string): Promise<void> {
    try {
      await writeDurably(path, new TextEncoder().encode(text), { createNew: true, mode: 0o600 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new KeeperError(`"${path}" is there already`);
    }
  }
}
