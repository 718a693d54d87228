/**
 * A new client for a server: keys, an address, a line in the server's file, and the client's own file.
 *
 * @module
 */

import { formatConfig, parseConfig } from "../config/format.ts";
import { formatKey } from "../config/key.ts";
import { splitLines } from "../config/lines.ts";
import { peerNames } from "../config/names.ts";
import { ConfigText } from "../config/edit.ts";
import { containsPrefix, formatPrefix, parsePrefix, type Prefix } from "../config/prefix.ts";
import { readSettings } from "../config/settings.ts";
import { readAllowedIps, readEndpoint } from "../config/values.ts";
import { writeDurably } from "../durable_file.ts";
import type { ConfigFile } from "../locked_config_file.ts";
import { generatePresharedKey, generatePrivateKey } from "../keys.ts";
import { publicKey } from "../public_key.ts";
import { getDevice, setDevice } from "../client/devices.ts";
import { listInterfaces } from "../client/listing.ts";
import { servicePort } from "../client/system.ts";
import { type PeerChange, peerChange } from "../uapi/set.ts";
import { freeAddress } from "./free_address.ts";
import { rememberPeer } from "../quick/remember.ts";
import { openServerFile, PeersError } from "./server_file.ts";

export { PeersError } from "./server_file.ts";

/** Options of a client. */
export interface AddPeerOptions {
  /**
   * The server's endpoint for clients, `host` or `host:port`. The default is `# wgd: Endpoint = …` in the server's
   * file.
   */
  readonly endpoint?: string;
  /** The client's addresses; by default the next free one of each subnet of the server. */
  readonly addresses?: readonly string[];
  /** The client's DNS line; else `# wgd: ClientDNS = …` in the server's file, else none. */
  readonly dns?: string;
  /** The client's allowed IPs. @default {"0.0.0.0/0, ::/0"} */
  readonly allowedIps?: string;
  /** Whether to make a preshared key. @default {true} */
  readonly presharedKey?: boolean;
  /** Aborting it before the first change prevents all changes. Later it has no effect. */
  readonly signal?: AbortSignal;
  /** The server's file. @default {"/etc/wireguard/NAME.conf"} */
  readonly file?: string;
}

/** The result. */
export interface AddedPeer {
  /** The client's configuration, as written to its file; it holds its private key. */
  readonly config: string;
  /** The client's addresses. */
  readonly addresses: readonly string[];
  /** Whether the interface is running and already has the peer. */
  readonly running: boolean;
}

/**
 * Adds a client to a server's file and to the running interface, if there is one, and writes the client's file. Either
 * all of this is done or nothing. Concurrent calls wait for each other, so no address is assigned twice.
 *
 * @param server Name of the server's interface.
 * @param name Name of the client.
 * @param output File for the client's configuration; it must not be there yet.
 * @throws {PeersError} If something is missing or already in use.
 * @throws {ConfigError} If the server's file is wrong.
 * @throws {ValueError} If an option is wrong.
 * @throws {UapiError} If the interface refuses the peer.
 * @throws {FileError} If a file cannot be read or written.
 */
export async function addPeer(
  server: string,
  name: string,
  output: string,
  options: AddPeerOptions = {},
): Promise<AddedPeer> {
  requirePeerName(name);
  using serverFile = await openServerFile(server, options.file);
  const { path: file, text } = serverFile;
  const config = parseConfig(text, { file, servicePort });
  const settings = readSettings(splitLines(text), { file });
  if (!config.privateKey) throw new PeersError(`${file} has no PrivateKey`, "make one: wgd genkey");
  if ([...peerNames(text).values()].includes(name)) {
    throw new PeersError(`${file} already has a peer named "${name}"`, "choose another name");
  }
  const state = (await listInterfaces()).includes(server) ? await getDevice(server) : undefined;
  const port = state?.listenPort || config.listenPort;
  const endpoint = clientEndpoint(options.endpoint ?? settings.endpoint, port, file);
  const taken = [
    ...config.peers.flatMap((peer) => peer.allowedIps.map(({ prefix }) => prefix)),
    ...(state?.peers.flatMap((peer) => peer.allowedIps) ?? []),
  ];
  const prefixes = options.addresses?.map((address) => chosen(address, config.address ?? [], taken)) ??
    nextFree(config.address ?? [], taken, file);

  const privateKey = generatePrivateKey();
  const clientKey = publicKey(privateKey);
  const presharedKey = options.presharedKey === false ? undefined : generatePresharedKey();
  const allowedIps = prefixes.map((prefix) => ({ remove: false, prefix }));
  const peer = peerChange(clientKey, {
    ...(presharedKey && { presharedKey }),
    replaceAllowedIps: true,
    allowedIps,
  });
  const dns = options.dns ?? settings.clientDNS;
  const client = formatConfig({
    privateKey,
    address: prefixes.map(formatPrefix),
    ...(dns && { dns: [dns] }),
    peers: [{
      ...peer,
      publicKey: publicKey(config.privateKey),
      allowedIps:
        readAllowedIps((options.allowedIps ?? "0.0.0.0/0,::/0").replace(/\s/g, ""), () => {}).changes,
      endpoint,
    }],
  });
  options.signal?.throwIfAborted();
  await makeChanges({ server, serverFile, isRunning: state !== undefined, name, peer, client, output });
  return { config: client, addresses: prefixes.map(formatPrefix), running: state !== undefined };
}

/** The changes of one call. */
interface Changes {
  readonly server: string;
  readonly serverFile: ConfigFile;
  readonly isRunning: boolean;
  readonly name: string;
  readonly peer: PeerChange;
  /** The client's configuration, and its file. */
  readonly client: string;
  readonly output: string;
}

/** Makes all changes. If one fails, the earlier ones are undone. */
async function makeChanges(
  { server, serverFile, isRunning, name, peer, client, output }: Changes,
): Promise<void> {
  const { publicKey, presharedKey } = peer;
  const allowedIps = peer.allowedIps.map(({ prefix }) => prefix);
  const edited = new ConfigText(serverFile.text);
  edited.addPeer({
    name,
    entries: [
      ["PublicKey", formatKey(publicKey)],
      ...(presharedKey ? [["PresharedKey", formatKey(presharedKey)] as const] : []),
      ["AllowedIPs", allowedIps.map(formatPrefix).join(", ")],
    ],
  });
  const undo: (() => Promise<void>)[] = [];
  try {
    await writeDurably(output, new TextEncoder().encode(client), { createNew: true }).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new PeersError(`"${output}" already exists`, "choose another file: --output FILE");
    });
    undo.push(() => Deno.remove(output));
    if (isRunning) {
      await setDevice(server, { replacePeers: false, peers: [peer] });
      undo.push(() => setDevice(server, { replacePeers: false, peers: [{ ...peer, remove: true }] }));
      undo.push(await rememberPeer(server, serverFile.path, { ...peer, allowedIps }));
    }
    await serverFile.write(edited.toString());
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {});
    throw error;
  }
}

/** @throws {PeersError} If a peer cannot have the name. */
export function requirePeerName(name: string): void {
  if (name.trim() === name && name !== "" && !/\p{C}/u.test(name)) return;
  throw new PeersError(`invalid name for a peer: "${name}"`, "use letters, as in laptop or Anna's phone");
}

function clientEndpoint(text: string | undefined, port: number | undefined, file: string) {
  const ways = `--endpoint HOST[:PORT], or a line "# wgd: Endpoint = HOST:PORT" in ${file}`;
  if (text === undefined) {
    throw new PeersError("the server's endpoint for clients is not known", `use ${ways}`);
  }
  const bare = /^\[[^\]]*\]$/.test(text) || !text.includes(":");
  if (bare && !port) {
    throw new PeersError(
      `the endpoint "${text}" needs a port: the server has no ListenPort`,
      `use ${ways}`,
    );
  }
  return readEndpoint(bare ? `${text}:${port}` : text);
}

function chosen(text: string, own: readonly string[], taken: readonly Prefix[]): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === null) {
    throw new PeersError(`invalid address: "${text}"`, "write it like this: --address 10.0.0.7,fd00::7");
  }
  const whole = formatPrefix(prefix);
  const hint = "omit --address to get a free one";
  if (own.some((address) => containsPrefix(prefix, parsePrefix(address.replace(/\/.*/, ""))!))) {
    throw new PeersError(`${whole} belongs to the server`, hint);
  }
  // A wider network than the server's is a route through a peer, and others may have addresses in it.
  const subnets = own.map((address) => parsePrefix(address)!).filter((subnet) =>
    containsPrefix(subnet, prefix)
  );
  const anothers = taken.some((other) =>
    containsPrefix(prefix, other) ||
    containsPrefix(other, prefix) && subnets.some(({ length }) => other.length > length)
  );
  if (anothers) throw new PeersError(`${whole} belongs to another peer`, hint);
  return prefix;
}

function nextFree(own: readonly string[], taken: readonly Prefix[], file: string): Prefix[] {
  if (own.length === 0) {
    throw new PeersError(`${file} has no Address`, "choose the client's: --address 10.0.0.7");
  }
  return own.map((address) => {
    const free = freeAddress(address, taken);
    if (free !== null) return parsePrefix(free)!;
    throw new PeersError(
      `no address is free in ${address}`,
      "give the server's Address a shorter prefix length, or choose an address: --address 10.0.0.7",
    );
  });
}
