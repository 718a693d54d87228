/**
 * wg-easy: `wg0.json` of version 14 and before, and the database `wg-easy.db` of version 15.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import * as v from "valibot";
import { formatConfig } from "../../config/format.ts";
import { formatKey, parseKey } from "../../config/key.ts";
import { publicKey } from "../../public_key.ts";
import { type Found, ImportError } from "./found.ts";
import { firstAddress } from "./plan.ts";

/** wg-easy 14 takes it from its environment. This is its default. */
const DEFAULT_PORT = 51820;

const HOOKS = "the hooks of wg-easy (PostUp and others) are left out: add yours to the keeper's file";

const client = v.object({
  name: v.string(),
  address: v.string(),
  publicKey: v.string(),
  privateKey: v.optional(v.string()),
  preSharedKey: v.optional(v.string()),
  enabled: v.optional(v.boolean(), true),
  expiredAt: v.nullish(v.string()),
});

const file = v.object({
  server: v.object({ privateKey: v.string(), address: v.string() }),
  clients: v.record(v.string(), client),
});

/** @throws {ImportError} If it is not such a file. */
export function readWgEasyJson(text: string, path: string): Found {
  const parsed = v.safeParse(file, parseJson(text, path));
  if (!parsed.success) throw new ImportError(`${path} is not a file of wg-easy: ${parsed.issues[0].message}`);
  const { server, clients } = parsed.output;
  const addresses = [`${server.address}/24`];
  return {
    ...serverPart(server.privateKey, addresses, DEFAULT_PORT, path),
    peers: Object.values(clients).map((peer) => ({
      name: peer.name,
      publicKey: peer.publicKey,
      presharedKey: peer.preSharedKey,
      allowedIps: [peer.address],
      enabled: peer.enabled,
      expiresAt: peer.expiredAt ? Date.parse(peer.expiredAt) : undefined,
      hadPrivateKey: Boolean(peer.privateKey),
    })),
  };
}

/** @throws {ImportError} If a value is missing. */
export function readWgEasyDatabase(database: DatabaseSync, path: string): Found {
  const row = database.prepare("SELECT * FROM interfaces_table ORDER BY name").get();
  if (!row) throw new ImportError(`${path} has no interface`);
  const defaults = database.prepare("SELECT * FROM user_configs_table WHERE id = ?").get(row.name!);
  const clients = database.prepare("SELECT * FROM clients_table WHERE interface_id = ? ORDER BY id").all(
    row.name!,
  );
  const addresses = [row.ipv4_cidr, row.ipv6_cidr].filter(Boolean).map((cidr) => firstAddress(String(cidr)));
  return {
    ...serverPart(String(row.private_key), addresses, Number(row.port), path),
    interface: String(row.name),
    mtu: Number(row.mtu) || undefined,
    ...(defaults && {
      endpoint: defaults.host ? `${defaults.host}:${defaults.port}` : undefined,
      dns: list(defaults.default_dns),
      clientAllowedIps: list(defaults.default_allowed_ips),
      keepalive: Number(defaults.default_persistent_keepalive) || undefined,
    }),
    peers: clients.map((peer) => ({
      name: String(peer.name),
      publicKey: String(peer.public_key),
      presharedKey: String(peer.pre_shared_key),
      allowedIps: [peer.ipv4_address, peer.ipv6_address, ...list(peer.server_allowed_ips)].filter(Boolean)
        .map(String),
      enabled: Number(peer.enabled) === 1,
      expiresAt: peer.expires_at ? Date.parse(String(peer.expires_at)) : undefined,
      hadPrivateKey: Boolean(peer.private_key),
    })),
  };
}

function list(json: unknown): string[] {
  return json ? JSON.parse(String(json)) : [];
}

/** @throws {ImportError} If it is not JSON. */
export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ImportError(`${path} is not JSON`);
  }
}

function serverPart(privateText: string, addresses: string[], listenPort: number, path: string) {
  const privateKey = parseKey(privateText);
  if (privateKey === null) throw new ImportError(`${path}: the server has no private key`);
  return {
    source: path,
    interface: "wg0",
    addresses,
    listenPort,
    publicKey: formatKey(publicKey(privateKey)),
    section: formatConfig({ privateKey, listenPort, address: addresses, peers: [] }),
    isRunning: false,
    notes: [HOOKS],
  };
}
