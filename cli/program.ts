/**
 * Who we are to the user: `wgd`, or through a link the tool that the link is named after.
 *
 * @module
 */

/** The name we were called by, as it was typed; usage lines begin with it. */
export function programName(): string {
  // Deno does not tell argv[0]: the launcher hands it on, and what `deno compile` made is its own first word.
  const given = Deno.env.get("WGD_ARGV0") ||
    Deno.build.standalone && Deno.readTextFileSync("/proc/self/cmdline").split("\0", 1)[0];
  return given || "wgd";
}

/** That name without its folder: `wg-quick` and what is wgd's own begin their messages with it. */
export function shortName(): string {
  const name = programName();
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Which tool that name means. */
export function tool(): "wg" | "wg-quick" | "wgd" {
  const base = shortName();
  return base === "wg" || base === "wg-quick" ? base : "wgd";
}
