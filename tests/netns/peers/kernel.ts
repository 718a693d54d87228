/**
 * Linux with its own WireGuard: Debian's kernel package, unpacked but not installed, and a disk that holds its modules,
 * busybox, `wg`, iperf3 and an agent that runs the commands we send it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { must, run } from "../lab/exec.ts";
import { dependencies, ensurePrograms, unpackPackages } from "./apt.ts";
import { cacheFolder, exists, findProgram, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** What QEMU boots. */
export interface KernelImage {
  /** Path of the kernel. */
  readonly kernel: string;
  /** Path of the initramfs, which mounts the disk. */
  readonly initramfs: string;
  /** Path of the disk: a file system without partitions. Guests write to copies of their own. */
  readonly disk: string;
  /** Folder with the files that are on the disk. */
  readonly root: string;
  /** As `uname -r` would say. */
  readonly version: string;
}

/** Modules for the initramfs, by their paths below `kernel/`; what they depend on comes along. */
const BOOT_MODULES =
  /^(drivers\/virtio\/virtio_pci|drivers\/block\/virtio_blk|fs\/ext4\/ext4|crypto\/crc32c_generic)\.ko$/;
/** Modules for the disk: networks, what WireGuard computes with, and the devices of a guest. */
const DISK_MODULES =
  /^(net|crypto|arch|lib|drivers\/virtio|drivers\/net\/wireguard)\/|^drivers\/(net|block|char)\/[^/]+$|^fs\/(ext4|overlayfs)\//;
/** Programs of this machine that a guest gets, with the libraries they need. The rest is busybox. */
const PROGRAMS = ["sh", "bash", "ip", "iperf3", "nft", "ping", "sysctl", "wg", "wg-quick"];
/** Programs that make the image. */
const TOOLS = ["gzip", "ldd", "mke2fs", "qemu-system-x86_64"];
/** What becomes the first process in the initramfs, and on the disk. */
const BOOT = new URL("guest_boot.sh", import.meta.url);
const AGENT = new URL("guest_agent.sh", import.meta.url);

/**
 * Finds or makes the kernel, its initramfs and its disk.
 *
 * @returns Their paths.
 * @throws {PeerUnavailable} If they are not there and cannot be made.
 */
export async function kernelImage(): Promise<KernelImage> {
  if (Deno.build.arch !== "x86_64") {
    throw new PeerUnavailable("the kernel in QEMU is set up for x86-64 alone");
  }
  await ensurePrograms(...TOOLS, ...PROGRAMS);
  // Named by what it is made of, so that a change here makes a new one.
  const recipe = createHash("sha256");
  for (const source of [new URL(import.meta.url), BOOT, AGENT]) recipe.update(await Deno.readFile(source));
  const folder = await madeFolder(
    `${cacheFolder()}/kernel-${recipe.digest("hex").slice(0, 12)}`,
    (folder) => told("unpacking Debian's kernel", () => make(folder)),
  );
  const version = (await Deno.readTextFile(`${folder}/version`)).trim();
  return {
    kernel: `${folder}/vmlinuz`,
    initramfs: `${folder}/initramfs.gz`,
    disk: `${folder}/disk`,
    root: `${folder}/root`,
    version,
  };
}

async function make(folder: string): Promise<void> {
  const name = (await dependencies("linux-image-amd64")).find((name) => name.startsWith("linux-image-"));
  if (!name) throw new PeerUnavailable("no package linux-image-amd64 here");
  const version = name.replace("linux-image-", "").replace("-unsigned", "");
  const [unpacked, initramfs, root] = [`${folder}/unpacked`, `${folder}/initramfs`, `${folder}/root`];
  // This machine's own busybox may be one that needs libraries.
  await unpackPackages([name, "busybox-static"], unpacked);
  const busybox = [`${unpacked}/usr/bin/busybox`, `${unpacked}/bin/busybox`].find(exists)!;
  await Deno.rename(`${unpacked}/boot/vmlinuz-${version}`, `${folder}/vmlinuz`);
  await Deno.writeTextFile(`${folder}/version`, version);

  const modules = await Modules.of(unpacked, version, busybox);
  await makeFolders(initramfs, ["bin", "dev", "disk", "proc"]);
  await Deno.copyFile(BOOT, `${initramfs}/init`);
  await Deno.chmod(`${initramfs}/init`, 0o755);
  await Deno.copyFile(busybox, `${initramfs}/bin/busybox`);
  await modules.copy(BOOT_MODULES, initramfs);
  const pack = 'cd "$1" && find . | "$2" cpio -o -H newc | gzip > "$3"';
  await must(["sh", "-ec", pack, "sh", initramfs, busybox, `${folder}/initramfs.gz`]);

  await makeRoot(root, busybox);
  await modules.copy(DISK_MODULES, root);
  await makeDisk(root, `${folder}/disk`);
  await Deno.remove(unpacked, { recursive: true });
  await Deno.remove(initramfs, { recursive: true });
}

/** Fills the folder that stands for the guest's `/`, but for modules. */
async function makeRoot(root: string, busybox: string): Promise<void> {
  await makeFolders(root, [
    ...["dev", "etc", "proc", "root", "run", "sys", "tmp", "var"],
    ...["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"],
  ]);
  for (const name of ["bin", "sbin", "lib", "lib64"]) await Deno.symlink(`usr/${name}`, `${root}/${name}`);
  await Deno.symlink("/run", `${root}/var/run`);
  await Deno.writeTextFile(
    `${root}/etc/passwd`,
    "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
  );
  await Deno.writeTextFile(`${root}/etc/group`, "root:x:0:\nnogroup:x:65534:\n");
  await Deno.writeTextFile(`${root}/etc/hosts`, "127.0.0.1 localhost\n::1 localhost\n");
  await Deno.copyFile(AGENT, `${root}/usr/sbin/agent`);
  await Deno.chmod(`${root}/usr/sbin/agent`, 0o755);
  for (const program of PROGRAMS) await copyProgram(findProgram(program)!, root);
  await Deno.copyFile(busybox, `${root}/usr/bin/busybox`);
  for (const applet of (await must([busybox, "--list"])).trim().split("\n")) {
    if (!exists(`${root}/usr/bin/${applet}`)) await Deno.symlink("busybox", `${root}/usr/bin/${applet}`);
  }
  // Where the kernel looks for it.
  await Deno.symlink("../bin/busybox", `${root}/usr/sbin/modprobe`);
}

async function makeFolders(root: string, names: readonly string[]): Promise<void> {
  for (const name of names) await Deno.mkdir(`${root}/${name}`, { recursive: true });
}

/**
 * Makes a disk: a file with holes, which takes the space of the files on it.
 *
 * @param root Folder with the files.
 * @param disk Path of the disk.
 */
export async function makeDisk(root: string, disk: string): Promise<void> {
  await must(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", root, disk, "1G"]);
}

/** The modules of an unpacked kernel. */
class Modules {
  private constructor(
    readonly folder: string,
    readonly version: string,
    readonly busybox: string,
    /** Path of each module below `folder`, and those of what it depends on. */
    readonly needs: ReadonlyMap<string, readonly string[]>,
  ) {}

  /** Makes those of a package ready: they may be compressed, and modules.dep is made when one is installed. */
  static async of(unpacked: string, version: string, busybox: string): Promise<Modules> {
    const base = exists(`${unpacked}/usr/lib/modules`) ? `${unpacked}/usr` : unpacked;
    const folder = `${base}/lib/modules/${version}`;
    await must(["find", folder, "-name", "*.ko.xz", "-exec", busybox, "unxz", "{}", "+"], {
      timeout: 300_000,
    });
    await must([busybox, "depmod", "-b", base, version], { timeout: 120_000 });
    const lines = (await Deno.readTextFile(`${folder}/modules.dep`)).trim().split("\n");
    const needs = lines.map((line) => line.split(/:? /)).map(([path, ...others]) =>
      [path!.replace(/:$/, ""), others] as const
    );
    return new Modules(folder, version, busybox, new Map(needs));
  }

  /** Copies modules and all they depend on. (One that is missing is built into the kernel.) */
  async copy(paths: RegExp, root: string): Promise<void> {
    const wanted = new Set<string>();
    const want = (path: string) => {
      if (wanted.has(path)) return;
      wanted.add(path);
      this.needs.get(path)?.forEach(want);
    };
    for (const path of this.needs.keys()) if (paths.test(path.replace(/^kernel\//, ""))) want(path);
    const folder = `${root}/lib/modules/${this.version}`;
    for (const path of wanted) {
      await Deno.mkdir(`${folder}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.copyFile(`${this.folder}/${path}`, `${folder}/${path}`);
    }
    await must([this.busybox, "depmod", "-b", root, this.version]);
  }
}

/** Copies a program and the shared libraries that it needs. */
export async function copyProgram(path: string, root: string): Promise<void> {
  await Deno.copyFile(path, `${root}/usr/bin/${path.slice(path.lastIndexOf("/") + 1)}`);
  await copyLibraries(path, root);
}

/** Copies the shared libraries of a program to where it looks for them. Scripts have none. */
export async function copyLibraries(path: string, root: string): Promise<void> {
  const { code, stdout } = await run(["ldd", path]);
  if (code !== 0) return;
  if (stdout.includes("not found")) throw new Error(`Libraries of ${path} are missing: ${stdout}`);
  for (const [, library] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    await Deno.mkdir(`${root}${library!.slice(0, library!.lastIndexOf("/"))}`, { recursive: true });
    await Deno.copyFile(library!, `${root}${library}`);
  }
}
