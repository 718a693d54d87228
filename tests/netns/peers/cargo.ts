/**
 * Builds programs in Rust with the machine's toolchain or Debian's.
 *
 * @module
 */

import { run } from "../lab/exec.ts";
import { dependencies, ensureCertificates, ensurePrograms, installPackages, unpackPackages } from "./apt.ts";
import { cacheFolder, findProgram, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** Minor version of Rust that the crates of boringtun's lock file ask for. */
const OLDEST_CARGO = 88;

/**
 * Builds a crate's program, once.
 *
 * @param crate Its name.
 * @returns Path of its executable.
 * @throws {PeerUnavailable} If it is not there and cannot be built.
 */
export async function cargoInstall(crate: string): Promise<string> {
  const folder = await madeFolder(`${cacheFolder()}/${crate}`, async (folder) => {
    const cargo = await findCargo();
    await ensurePrograms("gcc");
    await ensureCertificates();
    await told(`building ${crate} (some minutes)`, async () => {
      const install = [cargo, "install", crate, "--locked", "--root", folder];
      // Authors' settings may link everything at once on one core; several units build three times as fast.
      const env = {
        CARGO_TARGET_DIR: `${folder}/target`,
        CARGO_PROFILE_RELEASE_LTO: "off",
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
      };
      const finished = await run(install, { env, timeout: 1_200_000 });
      if (finished.code !== 0) {
        throw new PeerUnavailable(`cargo install ${crate} failed: ${finished.stderr.trim().slice(-500)}`);
      }
      await Deno.remove(`${folder}/target`, { recursive: true });
    });
  });
  return `${folder}/bin/${crate}`;
}

/** A cargo that is new enough: the machine's, or Debian's newest (`cargo-web`, which follows Firefox's needs). */
async function findCargo(): Promise<string> {
  const found = await newEnoughCargo();
  if (found) return found;
  await ensurePrograms("gcc");
  const folder = await madeFolder(
    `${cacheFolder()}/cargo`,
    (folder) => told("unpacking Debian's newest cargo", () => unpackCargo(folder)),
  );
  const cargo = `${folder}/cargo`;
  const version = await minorVersion(cargo);
  if (version >= OLDEST_CARGO) return cargo;
  // The next run looks again.
  await Deno.remove(folder, { recursive: true });
  throw new PeerUnavailable(
    `Debian's newest cargo here is 1.${version}, and 1.${OLDEST_CARGO} is needed: add Debian's security updates to apt's ` +
      "sources, or install one by rustup",
  );
}

/**
 * Unpacks it, and installs the libraries that it needs. It is not installed itself, since it has the names of files that
 * Debian's older cargo and rustup have, one of which may be there.
 */
async function unpackCargo(folder: string): Promise<void> {
  const packages = ["cargo-web", "rustc-web", "libstd-rust-web-dev"];
  const runtime = (await dependencies("libstd-rust-web-dev")).find((name) =>
    /^libstd-rust-web-\d/.test(name)
  );
  if (!runtime) {
    throw new PeerUnavailable(`no cargo of at least 1.${OLDEST_CARGO} here: install one by rustup`);
  }
  packages.push(runtime);
  const needed = (await Promise.all(packages.map(dependencies))).flat();
  const libraries = needed.filter((name) => name.startsWith("lib") && !packages.includes(name));
  await installPackages([...new Set(libraries)], ["libraries of cargo"]);
  await unpackPackages(packages, folder);
  // Its parts find each other by PATH and by the path of the compiler's library.
  const usr = "${0%/*}/usr";
  const script = `#!/bin/sh
export PATH="${usr}/bin:$PATH" LD_LIBRARY_PATH="${usr}/lib/${Deno.build.arch}-linux-gnu"
exec "${usr}/bin/cargo" "$@"
`;
  await Deno.writeTextFile(`${folder}/cargo`, script, { mode: 0o755 });
}

async function newEnoughCargo(): Promise<string | undefined> {
  for (const folders of [[], [`${Deno.env.get("HOME")}/.cargo/bin`]]) {
    const cargo = findProgram("cargo", folders);
    if (!cargo) continue;
    if (await minorVersion(cargo) >= OLDEST_CARGO) return cargo;
  }
  return undefined;
}

/** The N of cargo 1.N; 0 if it is another program. */
async function minorVersion(cargo: string): Promise<number> {
  const { stdout } = await run([cargo, "--version"]);
  return Number(/cargo 1\.(\d+)/.exec(stdout)?.[1] ?? 0);
}
