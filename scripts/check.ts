/**
 * All checks: format, lint, types, documentation, import arrows, and Rust if it is installed.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { rustEnvironment, rustRelease } from "./rust.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const wasm = `${root}wasm`;

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  readonly folder?: string;
}

const deno = Deno.execPath();
const checks: Check[] = [
  { name: "format", command: [deno, "fmt", "--check", "--quiet"] },
  { name: "lint", command: [deno, "lint", "--quiet"] },
  {
    name: "types",
    command: [deno, "check", "--quiet", "mod.ts", "cli", "core", "ffi", "scripts", "tests", "wasm"],
  },
  { name: "documentation", command: [deno, "doc", "--lint", "mod.ts"] },
  { name: "imports", command: [deno, "run", "--allow-all", "--quiet", "scripts/check_imports.ts"] },
];

async function run(
  { command: [program, ...args], folder = root }: Check,
): Promise<{ ok: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command(program!, {
    args,
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { ok: success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

const environment = await rustEnvironment();
const rust = ["env", `PATH=${environment?.PATH}`];
if (
  environment &&
  (await run({ name: "", command: [...rust, "cargo", "clippy", "--version"], folder: wasm })).ok
) {
  const clippy = [...rust, "cargo", "clippy", "--quiet", "--locked"];
  const strict = ["--", "-D", "warnings"];
  for (const folder of [wasm, `${wasm}/argon2id`]) {
    checks.push(
      { name: "Rust format", command: [...rust, "cargo", "fmt", "--check"], folder },
      { name: "Rust lint", command: [...clippy, "--all-targets", ...strict], folder },
    );
  }
  checks.push(
    {
      name: "Rust tests",
      command: [...rust, "cargo", "test", "--quiet", "--release", "--locked"],
      folder: wasm,
    },
  );
} else {
  console.log(`check: no Rust ${await rustRelease()} with clippy here, so wasm/src is not checked`);
}

/** A lock file must not contain this machine's package registry. */
async function registries(): Promise<string[]> {
  const lock = await Deno.readTextFile(`${root}deno.lock`);
  return [...lock.matchAll(/https?:\/\/[^"\s]+/g)].map(([url]) => `deno.lock names ${url}`);
}

let failed = 0;
for (const check of checks) {
  const { ok, text } = await run(check);
  console.log(`check: ${check.name} ${ok ? "ok" : "FAILED"}`);
  if (ok) continue;
  failed++;
  console.log(text);
}
const named = await registries();
for (const line of named) console.log(line);
if (failed + named.length > 0) {
  console.log(`check: ${failed + named.length} failed`);
  Deno.exit(1);
}
