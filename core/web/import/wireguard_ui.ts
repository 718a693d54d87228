/**
 * wireguard-ui: its folder `db` of JSON files.
 *
 * @module
 */

import * as v from "valibot";
import { formatConfig } from "../../config/format.ts";
import { formatKey, parseKey } from "../../config/key.ts";
import { publicKey } from "../../public_key.ts";
import { type Found, type FoundPeer, ImportError } from "./found.ts";
import { parseJson } from "./wg_easy.ts";

const keypair = v.object({ private_key: v.string() });
const server = v.object({ addresses: v.array(v.string()), listen_port: v.string() });
const settings = v.object({
  endpoint_address: v.optional(v.string(), ""),
  dns_servers: v.nullish(v.array(v.string())),
  mtu: v.optional(v.string(), "0"),
  persistent_keepalive: v.optional(v.string(), "0"),
  config_file_path: v.optional(v.string(), ""),
});
const client = v.object({
  name: v.string(),
  public_key: v.string(),
  private_key: v.optional(v.string()),
  preshared_key: v.optional(v.string()),
  allocated_ips: v.array(v.string()),
  allowed_ips: v.nullish(v.array(v.string())),
  extra_allowed_ips: v.nullish(v.array(v.string())),
  enabled: v.boolean(),
});

/** @throws {ImportError} If it is not such a folder. */
export async function readWireguardUi(folder: string): Promise<Found> {
  const { private_key } = await read(`${folder}/server/keypair.json`, keypair);
  const { addresses, listen_port } = await read(`${folder}/server/interfaces.json`, server);
  const global = await read(`${folder}/server/global_settings.json`, settings);
  const privateKey = parseKey(private_key);
  if (privateKey === null) throw new ImportError(`${folder}: the server has no private key`);
  const peers: FoundPeer[] = [];
  const files: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}/clients`)) files.push(name);
  for (const name of files.sort().filter((name) => name.endsWith(".json"))) {
    const found = await read(`${folder}/clients/${name}`, client);
    peers.push({
      name: found.name,
      publicKey: found.public_key,
      presharedKey: found.preshared_key,
      allowedIps: [...found.allocated_ips, ...(found.extra_allowed_ips ?? []).filter(Boolean)],
      enabled: found.enabled,
      hadPrivateKey: Boolean(found.private_key),
    });
  }
  const listenPort = Number(listen_port);
  return {
    source: folder,
    interface: /([^/]+)\.conf$/.exec(global.config_file_path)?.[1] ?? "wg0",
    addresses,
    listenPort,
    publicKey: formatKey(publicKey(privateKey)),
    mtu: Number(global.mtu) || undefined,
    endpoint: global.endpoint_address || undefined,
    dns: global.dns_servers ?? undefined,
    keepalive: Number(global.persistent_keepalive) || undefined,
    section: formatConfig({ privateKey, listenPort, address: addresses, peers: [] }),
    peers,
    isRunning: false,
    notes: ["the hooks of wireguard-ui (PostUp and others) are left out: add yours to the keeper's file"],
  };
}

async function read<S extends v.GenericSchema>(path: string, schema: S): Promise<v.InferOutput<S>> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ImportError(`there is no ${path}`, "name wireguard-ui's folder db");
  });
  const parsed = v.safeParse(schema, parseJson(text, path));
  if (!parsed.success) {
    throw new ImportError(`${path} is not a folder of wireguard-ui: ${parsed.issues[0].message}`);
  }
  return parsed.output;
}
