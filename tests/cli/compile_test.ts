/**
 * `deno task compile`: what it does if its result does not work, and which Deno it uses for another machine.
 *
 * @module
 */

import { deepEqual, doesNotMatch, equal, match, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { bundle, filesBelow, LANE, module } from "../../scripts/compile/bundle.ts";
import { ProofError, prove } from "../../scripts/compile/proof.ts";
import { TARGETS } from "../../scripts/compile/target.ts";
import { type Finished, must, run } from "../netns/lab/exec.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const foreign = TARGETS.find(({ triple }) => triple !== Deno.build.target)!;

/** Runs the task, with its result in a separate folder. */
async function compile(folder: string, args: string[], env: Record<string, string> = {}): Promise<Finished> {
  const script = ["run", "--allow-all", "--quiet", `${ROOT}scripts/compile.ts`, "--output", folder, ...args];
  return await run([Deno.execPath(), ...script], { env: { NO_COLOR: "1", ...env }, timeout: 240_000 });
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

function test(name: string, body: (folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await body(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

test("a lane's thread loads one module, without the text of the WebAssembly module", async (folder) => {
  await bundle(folder);
  const text = /["'`][A-Za-z0-9+/=]{10000}/;
  const holdText = [];
  for (const file of await filesBelow(folder)) {
    if (text.test(await Deno.readTextFile(`${folder}/${file}`))) holdText.push(file);
  }
  ok(holdText.length > 0, "the text is in the bundle");
  ok(!holdText.includes(module(LANE)));
  const code = await Deno.readTextFile(`${folder}/${module(LANE)}`);
  match(code, /onmessage/);
  doesNotMatch(code, /\b(import|from)\b *[("'`{]|\bimport *[\w*]/);
});

// The whole Deno in place of denort. The result of `deno compile` then starts as Deno's own command line.
const WRONG_RUNTIME = { DENORT_BIN: Deno.execPath() };

test("if the result of deno compile does not work, it is replaced by a self-extracting file", async (folder) => {
  const { code, stderr } = await compile(folder, [], WRONG_RUNTIME);
  equal(code, 0, stderr);
  match(stderr, /^compile: wgd: what was made does not work: --version: exit code 0, deno \d/m);
  match(stderr, /^compile: wgd: proved: --version, pubkey, genkey, /m);
  match(stderr, /MB, self-extracting\n$/);
  deepEqual(await names(folder), ["wgd"]);
  match(await must([`${folder}/wgd`, "--version"], { env: { XDG_CACHE_HOME: folder } }), /^wgd \d/);
});

test("with --native, a result that does not work is deleted", async (folder) => {
  await Deno.writeTextFile(`${folder}/wgd`, "an older one");
  const { code, stderr } = await compile(folder, ["--native"], WRONG_RUNTIME);
  equal(code, 1);
  match(stderr, /^compile: wgd: what was made does not work: --version: /m);
  match(stderr, /^compile: wgd could not be made\n$/m);
  deepEqual(await names(folder), []);
});

for (
  const [what, args, reason] of [
    ["two ways", ["--native", "--self-extracting"], /^compile: Usage: /],
    [
      "an unknown machine",
      ["--target", "riscv64gc-unknown-linux-gnu"],
      /can be built for x86_64-[^\n]*aarch64-/,
    ],
    ["an unknown option", ["--targets"], /Unknown option '--targets'[^\n]*\nUsage: /],
  ] as const
) {
  test(`${what} is an error, and existing files stay`, async (folder) => {
    await Deno.writeTextFile(`${folder}/wgd`, "an older one");
    const { code, stderr } = await compile(folder, [...args]);
    equal(code, 1);
    match(stderr, reason);
    deepEqual(await names(folder), ["wgd"]);
  });
}

/** A registry of npm with one package of one file. */
async function registry(
  folder: string,
  content: string,
  listed?: string,
): Promise<Deno.HttpServer<Deno.NetAddr>> {
  await Deno.mkdir(`${folder}/package`);
  await Deno.writeTextFile(`${folder}/package/package.json`, JSON.stringify({ name: foreign.package }));
  await Deno.writeTextFile(`${folder}/package/deno`, content);
  await must(["tar", "-czf", `${folder}/package.tgz`, "-C", folder, "package"]);
  const tarball = await Deno.readFile(`${folder}/package.tgz`);
  const version = Deno.version.deno;
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    const { origin, pathname } = new URL(url);
    if (pathname === "/package.tgz") return new Response(tarball);
    if (decodeURIComponent(pathname) !== `/${foreign.package}`) return new Response(null, { status: 404 });
    const integrity = listed ?? `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
    const dist = { tarball: `${origin}/package.tgz`, integrity };
    return Response.json({
      "name": foreign.package,
      "dist-tags": { latest: version },
      "versions": { [version]: { name: foreign.package, version, dist } },
    });
  });
}

for (
  const [what, listed, reason] of [
    [
      "that the registry lists with another checksum",
      `sha512-${btoa("x".repeat(64))}`,
      /cannot be had: .*checksum did not match/,
    ],
    ["that is no program for that machine", undefined, /holds no program for /],
  ] as const
) {
  test(`a Deno for another machine ${what} is refused`, async (folder) => {
    const [output, cache] = [`${folder}/dist`, `${folder}/cache`];
    await using server = await registry(folder, "\x7fELF", listed);
    const { code, stderr } = await compile(output, ["--self-extracting", "--target", foreign.triple], {
      NPM_CONFIG_REGISTRY: `http://127.0.0.1:${server.addr.port}`,
      DENO_DIR: cache,
    });
    equal(code, 1, stderr);
    match(stderr, new RegExp(`^compile: ${foreign.package}@${RegExp.escape(Deno.version.deno)} `, "m"));
    match(stderr, reason);
    deepEqual(await names(output), []);
  });
}

/** A program that supports just enough to reach the interface. */
const HALF = `#!/bin/sh
case $1 in
  --version) echo wgd $VERSION ;;
  pubkey) echo hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo= ;;
  genkey) head -c 32 /dev/urandom | base64 ;;
  *) shift; exec true "$@" ;;
esac
`;

test("an executable that makes keys but no interface fails the test", async (folder) => {
  const { version } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const program = `${folder}/wgd`;
  await Deno.writeTextFile(program, HALF.replace("$VERSION", version), { mode: 0o755 });
  await rejects(prove([program]), ProofError);
  await rejects(prove(["true"]), ProofError);
});

Deno.test({
  name:
    "without rights for an interface, the test of the executable reports what it did not test, and that the worker answers",
  ignore: Deno.env.get("WGD_TEST_PROGRAM") === undefined || Deno.uid() !== 0,
  async fn() {
    const script = `import { prove } from "${new URL("../../scripts/compile/proof.ts", import.meta.url)}";
      console.log(JSON.stringify(await prove([Deno.env.get("WGD_TEST_PROGRAM")])));`;
    const hide = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /dev/net; exec "$@"', "sh"];
    const { proved, notProved } = JSON.parse(await must([...hide, Deno.execPath(), "eval", script]));
    deepEqual(proved, ["--version", "pubkey", "genkey", "the engine's thread loads and answers"]);
    deepEqual(notProved, ["an interface started and stopped (/dev/net/tun cannot be opened)"]);
  },
});
