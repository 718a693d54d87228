/**
 * A running interface, or a file of wg-quick.
 *
 * @module
 */

import { ConfigText } from "../../config/edit.ts";
import { formatConfig, parseConfig } from "../../config/format.ts";
import { nameOfFile, savedFile } from "../../config/interface_name.ts";
import { equalBytes, formatKey } from "../../config/key.ts";
import { splitLines } from "../../config/lines.ts";
import { peerNames } from "../../config/names.ts";
import { formatPrefix } from "../../config/prefix.ts";
import { readSettings } from "../../config/settings.ts";
import { readConfigFile } from "../../config_file.ts";
import { getDevice } from "../../client/devices.ts";
import { servicePort } from "../../client/system.ts";
import { publicKey } from "../../public_key.ts";
import { type Found, type FoundPeer, ImportError } from "./found.ts";

/** Reads a file. @throws {ConfigError} If a line is invalid. */
export async function readWgQuickFile(path: string): Promise<Found> {
  const { text } = await readConfigFile(path);
  return readWgQuickText(text, path);
}

/** Reads the text of a file. */
export function readWgQuickText(text: string, path: string): Found {
  const config = parseConfig(text, { file: path, servicePort });
  const settings = readSettings(splitLines(text), { file: path });
  if (!config.privateKey) throw new ImportError(`${path} has no PrivateKey`);
  if (!config.listenPort) {
    throw new ImportError(`${path} has no ListenPort`, "devices connect to the server at this port");
  }
  const names = peerNames(text);
  const edited = new ConfigText(text);
  for (const peer of edited.peers) edited.remove(peer);
  // The keeper's file has no peers, and nothing must add any.
  edited.interface.set("SaveConfig", []);
  return {
    source: path,
    interface: settings.interface ?? nameOfFile(path),
    addresses: config.address ?? [],
    listenPort: config.listenPort,
    publicKey: formatKey(publicKey(config.privateKey)),
    mtu: config.mtu,
    endpoint: settings.endpoint,
    dns: settings.clientDNS?.split(",").map((word) => word.trim()).filter(Boolean),
    section: edited.toString(),
    peers: config.peers.map((peer): FoundPeer => ({
      name: names.get(formatKey(peer.publicKey)),
      publicKey: formatKey(peer.publicKey),
      presharedKey: peer.presharedKey && formatKey(peer.presharedKey),
      allowedIps: peer.allowedIps.map(({ prefix }) => formatPrefix(prefix)),
      enabled: true,
      hadPrivateKey: false,
    })),
    isRunning: false,
    notes: [],
  };
}

/** Reads a running interface. Its file, if there is one, adds names and settings that only a file has. */
export async function readRunning(name: string, file: string = savedFile(name)): Promise<Found> {
  const state = await getDevice(name);
  const { privateKey } = state;
  if (!privateKey) throw new ImportError(`${name} has no private key`);
  const text = await readConfigFile(file).then(({ text }) => text, () => undefined);
  const written = text === undefined ? undefined : parseConfig(text, { file, servicePort });
  const isOwn = !written?.privateKey || equalBytes(written.privateKey, privateKey);
  const read = written?.privateKey && written.listenPort && isOwn ? readWgQuickText(text!, file) : undefined;
  const names = text !== undefined && isOwn ? peerNames(text) : new Map<string, string>();
  const addresses = Deno.networkInterfaces()
    .filter((found) => found.name === name && !/^fe80:/i.test(found.address))
    .map(({ cidr }) => cidr!);
  const peers = state.peers.map((peer): FoundPeer => ({
    name: names.get(formatKey(peer.publicKey)),
    publicKey: formatKey(peer.publicKey),
    presharedKey: peer.presharedKey && formatKey(peer.presharedKey),
    allowedIps: peer.allowedIps.map(formatPrefix),
    enabled: true,
    hadPrivateKey: false,
  }));
  const running = new Set(peers.map((peer) => peer.publicKey));
  const gone = read?.peers.filter((peer) => !running.has(peer.publicKey)) ?? [];
  return {
    ...read,
    source: `the interface ${name}`,
    interface: name,
    addresses,
    listenPort: state.listenPort,
    publicKey: formatKey(publicKey(privateKey)),
    section: read?.section ??
      formatConfig({ privateKey, listenPort: state.listenPort, address: addresses, peers: [] }),
    peers,
    isRunning: true,
    notes: [
      ...gone.map((peer) =>
        `${peer.name ?? peer.publicKey} is in ${file} but not at the interface: left out`
      ),
      ...(read ? [`${file} is not used any more: systemctl disable wg-quick@${name}`] : []),
    ],
  };
}
