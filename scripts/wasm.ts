/**
 * Builds the WebAssembly modules and writes them as text to files that are committed, so that users and CI need no
 * Rust. `wasm/src` gives the plain and the wide module, `wasm/module.ts` and `wasm/module_wide.ts`. `wasm/argon2id`
 * gives `wasm/argon2id_module.ts`. With `--check` it compares them instead, byte by byte.
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

/** A build of a crate. */
interface Build {
  readonly file: string;
  /** Folder of the crate, below `wasm`. */
  readonly crate: string;
  /** Name of the file that cargo makes. */
  readonly made: string;
  /** Compiler flags beyond those that all builds have. */
  readonly flags: readonly string[];
}

const builds: readonly Build[] = [
  {
    file: "module.ts",
    crate: ".",
    made: "wgd_wasm.wasm",
    flags: ["-Ctarget-feature=+simd128,+relaxed-simd"],
  },
  {
    file: "module_wide.ts",
    crate: ".",
    made: "wgd_wasm.wasm",
    flags: [
      "-Ctarget-feature=+simd128,+relaxed-simd,+wide-arithmetic",
      "--cfg=wide",
      '--cfg=curve25519_dalek_bits="64"',
    ],
  },
  {
    file: "argon2id_module.ts",
    crate: "argon2id",
    made: "wgd_argon2id.wasm",
    flags: ["-Ctarget-feature=+simd128"],
  },
];

/** Compiles the crate so that the result does not depend on the machine, in particular on its paths. */
async function build({ crate, made, flags: own }: Build): Promise<Uint8Array> {
  const environment = await rustEnvironment();
  if (!environment) {
    const release = await rustRelease();
    fail(`Rust ${release} is not here: rustup toolchain install ${release} (https://rustup.rs)`);
  }
  const rust = ["env", `PATH=${environment.PATH}`];
  const cargoHome = Deno.env.get("CARGO_HOME") ?? join(homedir(), ".cargo");
  const targetFolder = Deno.env.get("CARGO_TARGET_DIR") ?? join(folder, "target");
  const place = join(folder, crate);
  const sysroot = await output(place, [...rust, "rustc", "--print", "sysroot"]);
  await output(place, [...rust, "cargo", "fetch", "--quiet", "--locked"]);
  const flags = [
    ...own,
    ...(await registries(`${cargoHome}/registry/src`)).map((path) => `--remap-path-prefix=${path}=registry`),
    `--remap-path-prefix=${sysroot.trim()}=rust`,
    `--remap-path-prefix=${place}=wasm`,
  ];
  const words = ["cargo", "build", "--quiet", "--locked", "--release", "--target", "wasm32-unknown-unknown"];
  await output(place, [...rust, ...words], {
    CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"),
    CARGO_TARGET_DIR: targetFolder,
  });
  return await Deno.readFile(join(targetFolder, "wasm32-unknown-unknown/release", made));
}

/** Folders of unpacked crates. Their names contain this machine's registry. */
async function registries(sources: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(sources))).map(({ name }) => join(sources, name));
}

async function output(cwd: string, words: string[], env: Record<string, string> = {}): Promise<string> {
  const [program, ...args] = words;
  const { success, stdout } = await new Deno.Command(program!, { args, env, cwd, stderr: "inherit" })
    .output();
  if (!success) fail(`${words.join(" ")} failed`);
  return new TextDecoder().decode(stdout);
}

function source({ crate }: Build, module: Uint8Array): string {
  const from = crate === "." ? "wasm/src" : `wasm/${crate}`;
  return `// Made by \`deno task wasm\` from ${from}.
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
  const text = source(wanted, await build(wanted));
  if (Deno.args.includes("--check")) {
    const same = await Deno.readTextFile(target) === text;
    if (!same) fail(`wasm/${wanted.file} is not what its source compiles to: run deno task wasm and commit`);
    console.log(`wasm/${wanted.file} is what its source compiles to`);
  } else {
    await Deno.writeTextFile(target, text);
    console.log(`wrote wasm/${wanted.file}: ${Math.round(text.length / 1024)} KiB`);
  }
}
