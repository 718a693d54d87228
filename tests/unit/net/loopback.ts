/**
 * Programs that connect to a proxy over loopback.
 *
 * @module
 */

import type { Listening } from "../../../core/config/proxy_rules.ts";
import { eventually } from "../../netns/lab/exec.ts";

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

/** Waits until a writer has written something and has stopped, because there is no room left. */
export async function untilItStops(written: () => number): Promise<void> {
  let last = -1;
  await eventually("the writer to stop", () => {
    const now = written();
    const stopped = now > 0 && now === last;
    last = now;
    return stopped;
  }, { every: 300 });
}
