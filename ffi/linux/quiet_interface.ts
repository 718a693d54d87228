/**
 * Keeps the kernel from sending into a tunnel by itself.
 *
 * @module
 */

/**
 * Turns off link-local addresses with their router solicitations, and redirects (the kernel's device.c, wg_open and
 * wg_setup), in the network namespace that this thread is in.
 */
export function quietInterface(name: string): void {
  for (
    const [file, value] of [
      [`ipv6/conf/${name}/addr_gen_mode`, "1"],
      [`ipv4/conf/${name}/send_redirects`, "0"],
      ["ipv4/conf/all/send_redirects", "0"],
    ] as const
  ) {
    try {
      Deno.writeTextFileSync(`/proc/sys/net/${file}`, value);
    } catch {
      // Without IPv6, or in a container with a read-only /proc, there is nothing to turn off or no way to do it.
    }
  }
}
