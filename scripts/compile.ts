/**
 * Builds `dist/wgd`, the one file that users download.
 *
 * Where Deno's runtime for compiled programs (`denort`) can be had, from `DENORT_BIN`, Deno's cache or the network, it is
 * made by `deno compile`. Elsewhere it is a shell script with a compressed archive behind it: this machine's Deno and the
 * bundled program, which the script unpacks once (`launcher.sh`).
 *
 *     deno task compile [--self-extracting]
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, gzipSync } from "node:zlib";
import { V8_FLAGS } from "../core/v8_flags.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = join(root, "dist/wgd");
const worker = "core/tunnel/worker.ts";
const entry = "cli/main.ts";

/**
 * All of them: Deno wants `--allow-all` for every file below /proc, /sys and /dev, where interfaces and routes are told,
 * and a program that may call the C library (ffi) could do anything whatever the other permissions say.
 */
const permissions = ["--allow-all"];

/** What the unpacked Deno is called: the name that `ps` and `pgrep` show. */
const PROGRAM = "wgd";

/** Modification time of every unpacked file: part of how the launcher knows them again. */
const MODIFIED = 1;

function say(text: string): void {
  console.error(`compile: ${text}`);
}

async function deno(...args: string[]): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** `deno compile`, if its runtime can be had. */
async function compile(): Promise<boolean> {
  say("asking deno compile");
  const { success, text } = await deno(
    "compile",
    "--quiet",
    "--no-check",
    ...permissions,
    `--v8-flags=${V8_FLAGS}`,
    "--include",
    worker,
    "--output",
    target,
    entry,
  );
  if (success) return true;
  const reason = /error[^\n]*/i.exec(text)?.[0] ?? "";
  // Anything but a missing runtime is a mistake of ours and must not hide behind the other way of building.
  if (!/denort/.test(text)) {
    say(text);
    Deno.exit(1);
  }
  say(`its runtime, denort, cannot be had (${reason})`);
  return false;
}

/** The program as a few minified modules: what a command does not need it does not load. */
async function bundle(folder: string): Promise<void> {
  const { success, text } = await deno(
    "bundle",
    "--quiet",
    "--platform",
    "deno",
    "--minify",
    "--code-splitting",
    "--outdir",
    folder,
    entry,
    worker,
  );
  if (!success) {
    say(text);
    Deno.exit(1);
  }
  // The bundler leaves URLs alone, so the one that starts the worker still names its source. And Deno loads at once
  // whatever it sees that a module may import some day: sixty files for a command that needs six. What a call names it
  // does not see.
  let workers = 0;
  for (const path of (await filesBelow(folder)).filter((path) => path.endsWith(".js"))) {
    const code = await Deno.readTextFile(join(folder, path));
    if (code.includes('"./worker.ts"')) workers++;
    await Deno.writeTextFile(
      join(folder, path),
      code.replaceAll('"./worker.ts"', '"./core/tunnel/worker.js"')
        .replaceAll(/\bimport\(("\.[^"]+")\)/g, "import(String($1))"),
    );
  }
  if (workers !== 1) throw new Error(`expected one module to start the worker, found ${workers}`);
}

/** Paths of all files below a folder, sorted, so that the same content gives the same archive. */
async function filesBelow(folder: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) files.push(...await filesBelow(folder, path));
    else files.push(path);
  }
  return files.sort();
}

/** The launcher with the archive behind it. */
async function selfExtracting(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-compile-" });
  try {
    await bundle(folder);
    await Deno.copyFile(Deno.execPath(), join(folder, PROGRAM));
    const files = await filesBelow(folder);
    const hash = createHash("sha256");
    const expected: string[] = [];
    for (const file of files) {
      const path = join(folder, file);
      const runs = file === PROGRAM;
      await Deno.chmod(path, runs ? 0o500 : 0o400);
      await Deno.utime(path, MODIFIED, MODIFIED);
      const content = await Deno.readFile(path);
      hash.update(`${file}\0${content.length}\0`).update(content);
      expected.push(`-r-${runs ? "x" : "-"}------ ${content.length} ${MODIFIED}`);
    }
    say("compressing");
    const tar = new Deno.Command("tar", {
      args: ["--create", "--format=ustar", "--owner=0", "--group=0", "--directory", folder, ...files],
      stdout: "piped",
    });
    const { stdout: archive, success } = await tar.output();
    if (!success) throw new Error("tar failed");
    const payload = gzipSync(archive, { level: constants.Z_BEST_COMPRESSION });
    const template = await Deno.readTextFile(new URL("launcher.sh", import.meta.url));
    const fill: Record<string, string> = {
      CONTENT: hash.digest("hex").slice(0, 32),
      MACHINE: Deno.build.arch,
      FILES: files.join(" "),
      EXPECTED: expected.join("\n"),
      MEGABYTES: String(Math.ceil(archive.length / 1e6)),
      FLAGS: V8_FLAGS,
      PERMISSIONS: permissions.join(" "),
    };
    const unsized = template.replace(/@([A-Z]+)@/g, (whole, name) => fill[name] ?? whole);
    // The script says at which byte the archive begins, and that number is part of the script: pad it to a fixed width.
    const width = 8;
    const length = new TextEncoder().encode(unsized).length - "@PAYLOAD@".length + width;
    const script = unsized.replace("@PAYLOAD@", String(length + 1).padStart(width, "0"));
    await Deno.writeFile(target, new TextEncoder().encode(script), { mode: 0o755 });
    await Deno.writeFile(target, payload, { append: true });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

await Deno.mkdir(join(root, "dist"), { recursive: true });
await Deno.remove(target).catch(() => {});
const wanted = Deno.args.includes("--self-extracting");
const compiled = !wanted && await compile();
if (!compiled) await selfExtracting();
await Deno.chmod(target, 0o755);
const { size } = await Deno.stat(target);
say(`dist/wgd: ${(size / 1e6).toFixed(1)} MB, ${compiled ? "by deno compile" : "self-extracting"}`);
