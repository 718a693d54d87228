/**
 * Ports for programs that need one as an argument. Servers in the test's own process listen on port 0 instead.
 *
 * @module
 */

/** Below the ports that Linux assigns to outgoing connections and to port 0 (net.ipv4.ip_local_port_range). */
const [FIRST, END] = [10_000, 32_000];

/** A TCP port of loopback on which no program listens. */
export function freePort(): number {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (END - FIRST));
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
