/**
 * WGDashboard: its database `wgdashboard.db`, which has names and disabled peers, and the file of the interface.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { savedFile } from "../../config/interface_name.ts";
import { type Found, type FoundPeer, ImportError } from "./found.ts";
import { readWgQuickFile } from "./wg_quick.ts";

const RESTRICTED = "_restrict_access";

/** The names of the interfaces in a database. */
export function dashboardInterfaces(database: DatabaseSync): string[] {
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  const names = new Set(tables.map(({ name }) => String(name)));
  return [...names].filter((name) => names.has(name + RESTRICTED)).sort();
}

/**
 * @param wanted The interface, if the database has several.
 * @param file Its file.
 * @default /etc/wireguard/NAME.conf
 * @throws {ImportError} If the interface is ambiguous.
 */
export async function readWgDashboard(
  database: DatabaseSync,
  path: string,
  wanted: string | undefined,
  file: string | undefined,
): Promise<Found> {
  const names = dashboardInterfaces(database);
  const name = wanted ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined || !names.includes(name)) {
    throw new ImportError(`${path} has the interfaces ${names.join(", ")}`, "select one: --network NAME");
  }
  const found = await readWgQuickFile(file ?? savedFile(name));
  const rows = (table: string) => database.prepare(`SELECT * FROM "${table.replaceAll('"', '""')}"`).all();
  const known = new Map(rows(name).map((row) => [String(row.id), row]));
  const restricted = new Map(rows(name + RESTRICTED).map((row) => [String(row.id), row]));
  const [first] = [...known.values(), ...restricted.values()];
  const peers: FoundPeer[] = found.peers.filter(({ publicKey }) => !restricted.has(publicKey)).map((
    peer,
  ) => ({
    ...peer,
    name: (known.get(peer.publicKey)?.name || peer.name) as string | undefined,
    hadPrivateKey: Boolean(known.get(peer.publicKey)?.private_key),
  }));
  for (const [publicKey, row] of restricted) {
    peers.push({
      name: row.name ? String(row.name) : undefined,
      publicKey,
      presharedKey: row.preshared_key ? String(row.preshared_key) : undefined,
      allowedIps: words(row.allowed_ip),
      enabled: false,
      hadPrivateKey: Boolean(row.private_key),
    });
  }
  return {
    ...found,
    source: path,
    interface: name,
    peers,
    endpoint: found.endpoint ?? (first?.remote_endpoint ? String(first.remote_endpoint) : undefined),
    dns: found.dns ?? words(first?.DNS),
    ...(first?.endpoint_allowed_ip && { clientAllowedIps: words(first.endpoint_allowed_ip) }),
    ...(Number(first?.keepalive) > 0 && { keepalive: Number(first!.keepalive) }),
    notes: ["jobs of WGDashboard (expiry, quotas) are left out"],
  };
}

function words(value: unknown): string[] {
  return String(value ?? "").split(",").map((word) => word.trim()).filter(Boolean);
}
