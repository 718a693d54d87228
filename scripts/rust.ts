/**
 * The Rust release of `wasm/rust-toolchain.toml`. Other releases make different modules and different warnings.
 *
 * @module
 */

/** Release of Rust that the module is built with. */
export async function rustRelease(): Promise<string> {
  const text = await Deno.readTextFile(new URL("../wasm/rust-toolchain.toml", import.meta.url));
  return /^channel = "(.+)"$/m.exec(text)![1]!;
}

/**
 * The environment in which cargo and all programs that it calls use that Rust. Its folder comes first in PATH, because
 * a distribution's cargo or rustc may come before rustup's, and npx puts /usr/bin first.
 *
 * @returns Undefined if it is not installed.
 */
export async function rustEnvironment(): Promise<{ PATH: string } | undefined> {
  const release = await rustRelease();
  const path = Deno.env.get("PATH") ?? "";
  const sysroot = await output(["rustup", "run", release, "rustc", "--print", "sysroot"]) ??
    await output(["rustc", "--print", "sysroot"]);
  if (sysroot === undefined) return undefined;
  const env = { PATH: `${sysroot.trim()}/bin:${path}` };
  for (const program of ["cargo", "rustc"]) {
    if (!(await output([program, "--version"], env))?.includes(` ${release} `)) return undefined;
  }
  return env;
}

async function output(
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<string | undefined> {
  const [program, ...args] = words;
  try {
    const { success, stdout } = await new Deno.Command("env", {
      args: [...Object.entries(env).map(([name, value]) => `${name}=${value}`), program!, ...args],
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
