/**
 * Checks which UDP ports are in use.
 *
 * @module
 */

/** Whether a socket of this network namespace has a UDP port (proc_net(5)). */
export async function isUdpPortTaken(port: number): Promise<boolean> {
  const local = new RegExp(`^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, "0")} `, "m");
  const tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map((path) =>
    Deno.readTextFile(path).catch(() => "")
  );
  return (await Promise.all(tables)).some((table) => local.test(table));
}
