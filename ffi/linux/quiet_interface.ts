/**
 * Prevents the kernel from sending its own packets into a tunnel.
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
      // Without IPv6 there is nothing to turn off, and in a container with a read-only /proc it is not possible.
    }
  }
}
