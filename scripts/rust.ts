/**
 * The Rust that `wasm/rust-toolchain.toml` names, and no other: another release makes other bytes and other warnings.
 *
 * @module
 */

/** Release of Rust that the module is built with. */
export async function rustRelease(): Promise<string> {
  const text = await Deno.readTextFile(new URL("../wasm/rust-toolchain.toml", import.meta.url));
  return /^channel = "(.+)"$/m.exec(text)![1]!;
}

/**
 * The words to put before a command of that Rust. A distribution's cargo may come first on the path, so rustup is asked.
 *
 * @returns Undefined if it is not installed.
 */
export async function rustPrefix(): Promise<string[] | undefined> {
  const release = await rustRelease();
  const rustup = ["rustup", "run", release];
  if (await prints(rustup, release)) return rustup;
  return await prints([], release) ? [] : undefined;
}

async function prints(prefix: readonly string[], release: string): Promise<boolean> {
  for (const program of ["cargo", "rustc"]) {
    const [first, ...rest] = [...prefix, program, "--version"];
    try {
      const { stdout } = await new Deno.Command(first!, { args: rest, stderr: "null" }).output();
      if (!new TextDecoder().decode(stdout).includes(` ${release} `)) return false;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }
  return true;
}
