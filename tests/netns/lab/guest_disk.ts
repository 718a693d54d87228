/**
 * Disks for guests with more files on them, wgd among these.
 *
 * @module
 */

import { copyLibraries, makeDisk } from "../peers/kernel.ts";
import type { KernelImage } from "../peers/mod.ts";
import { must } from "./exec.ts";
import { wgdCommand } from "./tunnel.ts";

/** What runs wgd in a guest. */
export const WGD = "/usr/bin/wgd";
/** Where {@link WGD} finds itself unpacked, if it has to be. */
const CACHE = "/var/cache";

/** Hides what this machine has unpacked, which the executable would use and not unpack itself again. */
const UNSEEN = `mount -t tmpfs none ${CACHE}; exec "$@"`;

/**
 * Makes an image whose disk has more files.
 *
 * @param fill Writes them below the folder it is given, which stands for `/`.
 * @returns The image, until it is disposed of; a guest that has booted does not need it any more.
 */
export async function imageWith(
  image: KernelImage,
  fill: (root: string) => Promise<void>,
): Promise<KernelImage & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-guest-" });
  const [root, disk] = [`${folder}/root`, `${folder}/disk`];
  const dispose = () => Deno.remove(folder, { recursive: true });
  try {
    await must(["cp", "-a", image.root, root]);
    await fill(root);
    await makeDisk(root, disk);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { ...image, root, disk, [Symbol.asyncDispose]: dispose };
}

/**
 * Puts the built executable where a guest finds it, unpacked if it unpacks itself: an emulator takes long for that.
 *
 * @returns Where a guest finds a Deno for scripts.
 */
export async function putWgd(root: string): Promise<string> {
  const [program, ...rest] = wgdCommand();
  if (rest.length > 0) throw new Error("a guest can only run the built executable: deno task compile");
  await Deno.mkdir(`${root}${CACHE}`, { recursive: true });
  await Deno.copyFile(program!, `${root}${WGD}`);
  const env = { XDG_CACHE_HOME: `${root}${CACHE}`, TMPDIR: `${root}/tmp` };
  await must(["unshare", "--mount", "sh", "-ec", UNSEEN, "sh", program!, "--version"], { env });
  for await (const { name } of entries(`${root}${CACHE}/wgd`)) {
    const deno = `${CACHE}/wgd/${name}/wgd`;
    if (name.includes(".")) continue;
    await copyLibraries(root + deno, root);
    return deno;
  }
  await Deno.copyFile(Deno.execPath(), `${root}/usr/bin/deno`);
  await copyLibraries(program!, root);
  await copyLibraries(Deno.execPath(), root);
  return "/usr/bin/deno";
}

/** Bundles a script and all it imports to one file. */
export async function bundle(script: URL, to: string): Promise<void> {
  await must([Deno.execPath(), "bundle", "--quiet", "--platform", "deno", "--output", to, script.pathname]);
}

async function* entries(folder: string): AsyncGenerator<Deno.DirEntry, void> {
  try {
    yield* Deno.readDir(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
