/**
 * Builds the WebAssembly module from `wasm/src` and writes it to `wasm/module.ts`, which is committed: users and CI need
 * no Rust. With `--check` it compares instead, byte by byte.
 *
 *     deno task wasm [--check]
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { homedir } from "node:os";

const folder = fileURLToPath(new URL("../wasm", import.meta.url));
const target = join(folder, "module.ts");

/** Compiles the crate so that nothing of the building machine, its paths above all, is in the result. */
async function build(): Promise<Uint8Array> {
  const cargoHome = Deno.env.get("CARGO_HOME") ?? join(homedir(), ".cargo");
  const sysroot = await output("rustc", ["--print", "sysroot"]);
  const targetFolder = Deno.env.get("CARGO_TARGET_DIR") ?? join(folder, "target");
  const flags = [
    "-Ctarget-feature=+simd128",
    ...(await registries(`${cargoHome}/registry/src`)).map((path) => `--remap-path-prefix=${path}=registry`),
    `--remap-path-prefix=${sysroot.trim()}=rust`,
    `--remap-path-prefix=${folder}=wasm`,
  ];
  const { success } = await new Deno.Command("cargo", {
    args: ["build", "--locked", "--release", "--target", "wasm32-unknown-unknown"],
    cwd: folder,
    env: { CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"), CARGO_TARGET_DIR: targetFolder },
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) fail("cargo build failed");
  return await Deno.readFile(join(targetFolder, "wasm32-unknown-unknown/release/wgd_wasm.wasm"));
}

/** Folders of unpacked crates; their names tell where this machine takes its crates from. */
async function registries(sources: string): Promise<string[]> {
  const fetched = await new Deno.Command("cargo", {
    args: ["fetch", "--locked"],
    cwd: folder,
    stderr: "inherit",
  }).output();
  if (!fetched.success) fail("cargo fetch failed");
  return (await Array.fromAsync(Deno.readDir(sources))).map(({ name }) => join(sources, name));
}

async function output(command: string, args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(command, { args, cwd: folder, stderr: "inherit" }).output();
    return new TextDecoder().decode(stdout);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    return fail(
      `${command} was not found: install Rust from https://rustup.rs, or work with the committed module`,
    );
  }
}

function source(module: Uint8Array): string {
  return `// Made by \`deno task wasm\` from wasm/src.
/** The WebAssembly module in base64: text travels through every bundler, and a file beside the code would not. */
export const MODULE: string =
  // deno-fmt-ignore
  "${module.toBase64()}";
`;
}

function fail(message: string): never {
  console.error(`wasm: ${message}`);
  Deno.exit(1);
}

const text = source(await build());
if (Deno.args.includes("--check")) {
  const same = await Deno.readTextFile(target) === text;
  if (!same) fail(`wasm/module.ts is not what wasm/src compiles to: run deno task wasm and commit`);
  console.log("wasm/module.ts is what wasm/src compiles to");
} else {
  await Deno.writeTextFile(target, text);
  console.log(`wrote wasm/module.ts: ${Math.round(text.length / 1024)} KiB`);
}
