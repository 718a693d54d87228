/**
 * The name under which the user called wgd: its own, or that of a link named after another tool.
 *
 * @module
 */

/** The name as it was typed. Usage lines begin with it. */
export function programName(): string {
  // Deno does not report argv[0]. The launcher passes it on. For a program of `deno compile`, it is the first argument.
  const given = Deno.env.get("WGD_ARGV0") ||
    Deno.build.standalone && Deno.readTextFileSync("/proc/self/cmdline").split("\0", 1)[0];
  return given || "wgd";
}

/** The name without its folder; messages of `wg-quick` and of wgd's own commands begin with it. */
export function shortName(): string {
  const name = programName();
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The tool with this name. */
export function tool(): "wg" | "wg-quick" | "wgd" {
  const base = shortName();
  return base === "wg" || base === "wg-quick" ? base : "wgd";
}
