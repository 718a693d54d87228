/**
 * Programs that connect to a proxy over loopback.
 *
 * @module
 */

/** A free TCP port of loopback. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Reads as many bytes as are asked for. */
export async function exactly(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  for (let at = 0; at < length;) at += await conn.read(buffer.subarray(at)) ?? Infinity;
  return buffer;
}
