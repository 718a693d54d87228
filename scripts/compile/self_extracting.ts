/**
 * Makes the executable as a shell script (`launcher.sh`) followed by an archive of Deno and the bundled program.
 *
 * For x86-64 it has 42.2 MB (Deno 2.9.6): Deno has 41.4 MB (95.6 unpacked) and the program 0.8 MB (2.0 unpacked). The
 * builds of the WebAssembly modules are 0.3 MB of the program, and the page of `wgd web` is 0.1 MB. Other formats: zstd
 * 31.9 MB at its best level (unpacked in 0.4 s), brotli 30.8 (0.7 s), xz 29.9 (1.6 s); gzip takes 0.6 s. gzip is used
 * because it is the only one on every machine (essential in Debian). With another format, wgd would not start on some
 * machines, or would need its own decoder for each processor. Deno contains V8, ICU, TypeScript and its tools in one
 * program, of which nothing can be left out.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { constants, gunzipSync, gzipSync } from "node:zlib";
import { FRUGAL, FRUGAL_INTERFACE, programFlags } from "../../core/v8_flags.ts";
import { bundle, ENTRY, filesBelow, hideImports, module } from "./bundle.ts";
import { copyDeno, PERMISSIONS } from "./deno.ts";
import { mayCompile } from "./may_compile.ts";
import type { Target } from "./target.ts";

/** The name of the unpacked Deno, which `ps` and `pgrep` show. */
const PROGRAM = "wgd";
/** The name of the program that tests whether V8 may compile here. */
const MAY_COMPILE = "may-compile";

/** The modification time of every unpacked file, by which the launcher recognizes them. */
const MODIFIED = 1;

/** Writes the launcher followed by the archive. */
export async function makeSelfExtracting(target: Target, output: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-compile-" });
  try {
    await copyDeno(target, join(folder, PROGRAM));
    await bundle(folder);
    await hideImports(folder);
    await Deno.writeFile(join(folder, MAY_COMPILE), mayCompile(target));
    const { files, content, expected } = await seal(folder);
    const archive = await tar(folder, files);
    const template = await Deno.readTextFile(new URL("launcher.sh", import.meta.url));
    const fill: Record<string, string> = {
      CONTENT: content,
      MACHINE: target.arch,
      FILES: files.join(" "),
      EXPECTED: expected.join("\n"),
      MEGABYTES: String(Math.ceil(archive.length / 1e6)),
      FLAGS: programFlags(target.arch),
      FRUGAL,
      INTERFACE: FRUGAL_INTERFACE,
      PERMISSIONS: PERMISSIONS.join(" "),
      ENTRY: module(ENTRY),
    };
    const unsized = template.replace(/@([A-Z]+)@/g, (whole, name) => fill[name] ?? whole);
    // The script contains the offset of the archive, so that number is padded to a fixed width.
    const width = 8;
    const length = new TextEncoder().encode(unsized).length - "@PAYLOAD@".length + width;
    const script = unsized.replace("@PAYLOAD@", String(length + 1).padStart(width, "0"));
    await Deno.writeFile(output, new TextEncoder().encode(script), { mode: 0o755 });
    await Deno.writeFile(output, gzipSync(archive, { level: constants.Z_BEST_COMPRESSION }), {
      append: true,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Unpacks an executable that `makeSelfExtracting` has made for another machine. */
export async function unpack(file: string, folder: string): Promise<void> {
  const bytes = await Deno.readFile(file);
  const script = new TextDecoder().decode(bytes.subarray(0, 64 << 10));
  const payload = Number(/^payload=(\d+)$/m.exec(script)?.[1]);
  const child = new Deno.Command("tar", {
    args: ["--extract", "--preserve-permissions", "--file=-", "--directory", folder],
    stdin: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(gunzipSync(bytes.subarray(payload - 1)));
  await writer.close();
  if (!(await child.status).success) throw new Error("tar failed");
}

/** Sets the modes and times that the launcher expects, and lists the files. */
async function seal(folder: string): Promise<{ files: string[]; content: string; expected: string[] }> {
  const files = await filesBelow(folder);
  const hash = createHash("sha256");
  const expected: string[] = [];
  for (const file of files) {
    const path = join(folder, file);
    const runs = file === PROGRAM || file === MAY_COMPILE;
    await Deno.chmod(path, runs ? 0o500 : 0o400);
    await Deno.utime(path, MODIFIED, MODIFIED);
    const content = await Deno.readFile(path);
    hash.update(`${file}\0${content.length}\0`).update(content);
    expected.push(`-r-${runs ? "x" : "-"}------ ${content.length} ${MODIFIED}`);
  }
  return { files, content: hash.digest("hex").slice(0, 32), expected };
}

async function tar(folder: string, files: readonly string[]): Promise<Uint8Array> {
  const { stdout, success } = await new Deno.Command("tar", {
    args: ["--create", "--format=ustar", "--owner=0", "--group=0", "--directory", folder, ...files],
    stdout: "piped",
  }).output();
  if (!success) throw new Error("tar failed");
  return stdout;
}
