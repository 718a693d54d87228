/**
 * Builds the WebAssembly module from `wasm/src`, the plain one and the wide one, and writes them to `wasm/module.ts` and
 * `wasm/module_wide.ts`, which are committed: users and CI need no Rust. With `--check` it compares instead, byte by
 * byte.
 *
 *     deno task wasm [--check]
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { homedir } from "node:os";
import { rustEnvironment, rustRelease } from "./rust.ts";

const folder = fileURLToPath(new URL("../wasm", import.meta.url));

/** A build of the crate. */
interface Build {
  readonly file: string;
  /** Compiler flags beyond those that all builds have. */
  readonly flags: readonly string[];
}

const builds: readonly Build[] = [
  { file: "module.ts", flags: ["-Ctarget-feature=+simd128,+relaxed-simd"] },
  {
    file: "module_wide.ts",
    flags: [
      "-Ctarget-feature=+simd128,+relaxed-simd,+wide-arithmetic",
      "--cfg=wide",
      '--cfg=curve25519_dalek_bits="64"',
    ],
  },
];

/** Compiles the crate so that nothing of the building machine, its paths above all, is in the result. */
async function build({ flags: own }: Build): Promise<Uint8Array> {
  const environment = await rustEnvironment();
  if (!environment) {
    const release = await rustRelease();
    fail(`Rust ${release} is not here: rustup toolchain install ${release} (https://rustup.rs)`);
  }
  const rust = ["env", `PATH=${environment.PATH}`];
  const cargoHome = Deno.env.get("CARGO_HOME") ?? join(homedir(), ".cargo");
  const targetFolder = Deno.env.get("CARGO_TARGET_DIR") ?? join(folder, "target");
  const sysroot = await output([...rust, "rustc", "--print", "sysroot"]);
  await output([...rust, "cargo", "fetch", "--quiet", "--locked"]);
  const flags = [
    ...own,
    ...(await registries(`${cargoHome}/registry/src`)).map((path) => `--remap-path-prefix=${path}=registry`),
    `--remap-path-prefix=${sysroot.trim()}=rust`,
    `--remap-path-prefix=${folder}=wasm`,
  ];
  const words = ["cargo", "build", "--quiet", "--locked", "--release", "--target", "wasm32-unknown-unknown"];
  await output([...rust, ...words], {
    CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"),
    CARGO_TARGET_DIR: targetFolder,
  });
  return await Deno.readFile(join(targetFolder, "wasm32-unknown-unknown/release/wgd_wasm.wasm"));
}

/** Folders of unpacked crates; their names tell where this machine takes its crates from. */
async function registries(sources: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(sources))).map(({ name }) => join(sources, name));
}

async function output(words: string[], env: Record<string, string> = {}): Promise<string> {
  const [program, ...args] = words;
  const { success, stdout } = await new Deno.Command(program!, { args, env, cwd: folder, stderr: "inherit" })
    .output();
  if (!success) fail(`${words.join(" ")} failed`);
  return new TextDecoder().decode(stdout);
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

for (const wanted of builds) {
  const target = join(folder, wanted.file);
  const text = source(await build(wanted));
  if (Deno.args.includes("--check")) {
    const same = await Deno.readTextFile(target) === text;
    if (!same) fail(`wasm/${wanted.file} is not what wasm/src compiles to: run deno task wasm and commit`);
    console.log(`wasm/${wanted.file} is what wasm/src compiles to`);
  } else {
    await Deno.writeTextFile(target, text);
    console.log(`wrote wasm/${wanted.file}: ${Math.round(text.length / 1024)} KiB`);
  }
}
