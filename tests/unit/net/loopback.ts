/**
 * Programs that connect to a proxy over loopback.
 *
 * @module
 */

import type { Listening } from "../../../core/config/proxy_rules.ts";

/** A TCP port of loopback that the system chooses. */
export const ANY_PORT = { hostname: "127.0.0.1", port: 0 } as const;

/** The ports of listeners. */
export function portsOf(listening: readonly Listening[]): number[] {
  return listening.map((at) => "path" in at ? NaN : at.port);
}

/** Reads the requested number of bytes. */
export async function exactly(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  for (let at = 0; at < length;) at += await conn.read(buffer.subarray(at)) ?? Infinity;
  return buffer;
}
