/**
 * The environment of programs that wgd starts for the user.
 *
 * @module
 */

/** Variables of the launcher of a self-extracting wgd, which are only for wgd. */
const LAUNCHER = ["WGD_SELF", "WGD_ARGV0", "WGD_DENO_DIR", "DENO_DIR", "DENO_NO_UPDATE_CHECK"];

/** The environment that wgd was called with. */
export function programEnvironment(): Record<string, string> {
  const all = Deno.env.toObject();
  if (!all.WGD_SELF) return all;
  const theirs = Object.fromEntries(Object.entries(all).filter(([name]) => !LAUNCHER.includes(name)));
  return all.WGD_DENO_DIR ? { ...theirs, DENO_DIR: all.WGD_DENO_DIR } : theirs;
}
