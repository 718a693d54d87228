/**
 * Builds `dist/wgd`, the file that users download, and tests it before it reports success. If Deno's runtime for
 * compiled programs (`denort`) is available, `deno compile` makes it. If not, or if the result does not work, it is a
 * shell script followed by a compressed archive, which it unpacks once.
 *
 *     deno task compile [--native | --self-extracting] [--target TRIPLE | --all] [--output FOLDER]
 *
 * `--native` and `--self-extracting` choose one of the two. `--target` builds for another machine, `dist/wgd-aarch64`
 * or `dist/wgd-x86_64`. `--all` builds for this machine and every other, with `dist/SHA256SUMS`. `--output` names
 * another folder than `dist`.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { BuildError, isFor, PERMISSIONS, ROOT } from "./compile/deno.ts";
import { ENTRY, module } from "./compile/bundle.ts";
import { compileNatively } from "./compile/native.ts";
import { type Proof, ProofError, prove } from "./compile/proof.ts";
import { makeSelfExtracting, unpack } from "./compile/self_extracting.ts";
import { fileName, isThisMachine, type Target, TARGETS } from "./compile/target.ts";

const CHECKSUM_FILE = "SHA256SUMS";
const USAGE =
  "Usage: deno task compile [--native | --self-extracting] [--target <triple> | --all] [--output <folder>]";

/** How an executable is made. */
type Way = "deno compile" | "self-extracting";

function say(text: string): void {
  console.error(`compile: ${text}`);
}

/** The arguments of the command line. */
interface Task {
  /** The ways to try, in this order. */
  readonly ways: readonly Way[];
  readonly targets: readonly Target[];
  /** The folder to write to. */
  readonly output: string;
}

/** Reads the command line. @throws {BuildError} If it is wrong. */
function read(args: string[]): Task {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        native: { type: "boolean" },
        "self-extracting": { type: "boolean" },
        target: { type: "string" },
        all: { type: "boolean" },
        output: { type: "string", default: `${ROOT}dist` },
      },
    }));
  } catch (error) {
    throw new BuildError(`${(error as Error).message}\n${USAGE}`);
  }
  const { native, "self-extracting": selfExtracting, target: triple, all, output } = values;
  if (native && selfExtracting || triple !== undefined && all) throw new BuildError(USAGE);
  const known = TARGETS.map(({ triple }) => triple).join(" and ");
  const targets = all ? TARGETS : TARGETS.filter((target) => target.triple === (triple ?? Deno.build.target));
  if (targets.length === 0) {
    throw new BuildError(`wgd can be built for ${known}, not for ${triple ?? Deno.build.target}`);
  }
  const ways: Way[] = [];
  if (!selfExtracting) ways.push("deno compile");
  if (!native) ways.push("self-extracting");
  return { ways, targets, output };
}

/** Makes an executable in the first way that works. */
async function build(target: Target, { ways, output }: Task): Promise<void> {
  const name = fileName(target);
  const unproved = `${output}/.${name}.unproved`;
  try {
    for (const way of ways) {
      const obstacle = await make(target, way, unproved);
      if (obstacle !== undefined) {
        say(`${name}: ${obstacle}`);
        continue;
      }
      await Deno.chmod(unproved, 0o755);
      await Deno.rename(unproved, `${output}/${name}`);
      const { size } = await Deno.stat(`${output}/${name}`);
      say(
        `${output}/${name}: ${(size / 1e6).toFixed(1)} MB, ${
          way === "deno compile" ? "by deno compile" : way
        }`,
      );
      return;
    }
  } finally {
    await Deno.remove(unproved).catch(() => {});
  }
  throw new BuildError(`${name} could not be made`);
}

/** @returns Undefined if the executable works; else the reason why not. */
async function make(target: Target, way: Way, output: string): Promise<string | undefined> {
  if (way === "deno compile") {
    say(`${fileName(target)}: asking deno compile`);
    const reason = await compileNatively(target, output);
    if (reason !== undefined) return `its runtime, denort, cannot be had (${reason})`;
  } else {
    say(`${fileName(target)}: packing Deno and the program`);
    await makeSelfExtracting(target, output);
  }
  try {
    const { proved, notProved } = await tryOut(target, way, output);
    say(`${fileName(target)}: proved: ${proved.join(", ")}`);
    for (const what of notProved) say(`${fileName(target)}: not proved: ${what}`);
    return undefined;
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    return `what was made does not work: ${error.message}`;
  }
}

/** Tests an executable as far as possible on this machine. */
async function tryOut(target: Target, way: Way, file: string): Promise<Proof> {
  if (isThisMachine(target)) return await prove([file]);
  const foreign = `that it runs on ${target.arch} (tests/netns/arm64_test.ts tries that)`;
  if (way === "deno compile") {
    if (!await isFor(target, file)) throw new ProofError(`it is no program for ${target.arch}`);
    return { proved: [`it is a program for ${target.arch}`], notProved: [foreign] };
  }
  const folder = await Deno.makeTempDir({ prefix: "wgd-compile-" });
  try {
    await unpack(file, folder);
    if (!await isFor(target, `${folder}/wgd`)) throw new ProofError(`its Deno is none for ${target.arch}`);
    const isolated = ["--no-config", "--no-lock", "--no-remote", "--no-npm"];
    const here = [
      Deno.execPath(),
      "run",
      "--quiet",
      ...isolated,
      ...PERMISSIONS,
      `${folder}/${module(ENTRY)}`,
    ];
    const { proved, notProved } = await prove(here);
    return { proved: [`with this machine's Deno: ${proved.join(", ")}`], notProved: [...notProved, foreign] };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** For `sha256sum --check`. */
async function writeSums(folder: string, names: readonly string[]): Promise<void> {
  let lines = "";
  for (const name of names) {
    lines += `${
      createHash("sha256").update(await Deno.readFile(`${folder}/${name}`)).digest("hex")
    }  ${name}\n`;
  }
  await Deno.writeTextFile(`${folder}/${CHECKSUM_FILE}`, lines);
}

try {
  const task = read(Deno.args);
  const { targets, output } = task;
  await Deno.mkdir(output, { recursive: true });
  // A file that exists after a failure was made by this build.
  for (const file of [CHECKSUM_FILE, ...targets.map(fileName)]) {
    await Deno.remove(`${output}/${file}`).catch(() => {});
  }
  for (const target of targets) await build(target, task);
  if (targets.length > 1) await writeSums(output, targets.map(fileName));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  say(error.message);
  Deno.exit(1);
}
