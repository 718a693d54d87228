/**
 * Linux with its own WireGuard: Debian's kernel package, unpacked but not installed, and a small first file system
 * (initramfs) that holds busybox, `wg`, iperf3 and an agent that runs the commands we send it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { must, run } from "../lab/exec.ts";
import { dependencies, ensurePrograms, unpackPackages } from "./apt.ts";
import { cacheFolder, findProgram, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** What QEMU boots. */
export interface KernelImage {
  /** Path of the kernel. */
  readonly kernel: string;
  /** Path of the initramfs. */
  readonly initramfs: string;
  /** As `uname -r` would say. */
  readonly version: string;
}

/** Modules that the guest loads; what they depend on comes along. */
const MODULES = ["virtio_pci", "virtio_net", "virtio_console", "wireguard", "ipv6"];
/** Programs of this machine that the guest gets, with the libraries they need. */
const PROGRAMS = ["wg", "iperf3", "ip", "ping"];

/**
 * The first process of the guest. Commands come in over a port of virtio (an emulated UART loses bytes now and then), one a line: a number and a script in
 * base64. Each runs by itself, so that a server can go on while other commands run; its exit code and output go back in
 * one line, under a lock.
 */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
for module in ${MODULES.join(" ")}; do modprobe "$module" 2>/dev/null; done
ip link set lo up
until [ -e /dev/vport*p1 ]; do sleep 0.1; done
exec 3<> "$(echo /dev/vport*p1)"
echo "ready $(uname -r)" >&3
# The shell of busybox prefers its own to these.
ip() { /bin/ip "$@"; }
ping() { /bin/ping "$@"; }
while read -r number script <&3; do
  (
    ( eval "set -e; $(echo "$script" | base64 -d)" ) > /tmp/output.$number 2> /tmp/error.$number < /dev/null
    code=$?
    output=$(base64 -w 0 /tmp/output.$number)
    error=$(base64 -w 0 /tmp/error.$number)
    until mkdir /tmp/lock 2>/dev/null; do usleep 1000; done
    echo "done $number $code $output $error ." >&3
    rmdir /tmp/lock
    rm -f /tmp/*.$number
  ) &
done
`;

/**
 * Finds or makes the kernel and its initramfs.
 *
 * @returns Their paths.
 * @throws {PeerUnavailable} If they are not there and cannot be made.
 */
export async function kernelImage(): Promise<KernelImage> {
  if (Deno.build.arch !== "x86_64") {
    throw new PeerUnavailable("the kernel in QEMU is set up for x86-64 alone");
  }
  await ensurePrograms("qemu-system-x86_64", "busybox", ...PROGRAMS);
  // Named by what it is made of, so that a change here makes a new one.
  const recipe = createHash("sha256").update(INIT + PROGRAMS.join()).digest("hex").slice(0, 12);
  const folder = await madeFolder(
    `${cacheFolder()}/kernel-${recipe}`,
    (folder) => told("unpacking Debian's kernel", () => make(folder)),
  );
  const version = (await Deno.readTextFile(`${folder}/version`)).trim();
  return { kernel: `${folder}/vmlinuz`, initramfs: `${folder}/initramfs.gz`, version };
}

async function make(folder: string): Promise<void> {
  const name = (await dependencies("linux-image-amd64")).find((name) => name.startsWith("linux-image-"));
  if (!name) throw new PeerUnavailable("no package linux-image-amd64 here");
  const unpacked = `${folder}/unpacked`;
  const root = `${folder}/root`;
  await unpackPackages([name], unpacked);
  const version = name.replace("linux-image-", "").replace("-unsigned", "");
  await Deno.rename(`${unpacked}/boot/vmlinuz-${version}`, `${folder}/vmlinuz`);
  await Deno.writeTextFile(`${folder}/version`, version);

  for (const name of ["bin", "proc", "sys", "dev", "tmp", "etc", "var/run", `lib/modules/${version}`]) {
    await Deno.mkdir(`${root}/${name}`, { recursive: true });
  }
  await Deno.writeTextFile(`${root}/init`, INIT, { mode: 0o755 });
  await Deno.copyFile(findProgram("busybox")!, `${root}/bin/busybox`);
  await copyModules(
    `${unpacked}/usr/lib/modules/${version}`,
    `${unpacked}/lib/modules/${version}`,
    root,
    version,
  );
  for (const program of PROGRAMS) await copyProgram(findProgram(program)!, root);
  await must([
    "sh",
    "-ec",
    'cd "$1" && find . | busybox cpio -o -H newc | gzip -6 > "$2"',
    "sh",
    root,
    `${folder}/initramfs.gz`,
  ]);
  await Deno.remove(unpacked, { recursive: true });
  await Deno.remove(root, { recursive: true });
}

/** Copies the modules and whatever they depend on. */
async function copyModules(usrMerged: string, plain: string, root: string, version: string): Promise<void> {
  const from = (await run(["test", "-d", usrMerged])).code === 0 ? usrMerged : plain;
  const to = `${root}/lib/modules/${version}`;
  // Packages carry no modules.dep: depmod makes it when they are installed.
  const base = from.slice(0, from.indexOf("/lib/modules/"));
  await must(["busybox", "depmod", "-b", base, version], { timeout: 120_000 });
  const lines = (await Deno.readTextFile(`${from}/modules.dep`)).split("\n");
  const needs = new Map(
    lines.map((line) => [line.split(":")[0]!, line.split(":")[1]?.trim().split(" ") ?? []]),
  );
  const byName = new Map(
    [...needs.keys()].map((path) => [path.split("/").at(-1)!.split(".")[0]!.replaceAll("-", "_"), path]),
  );
  const wanted = new Set<string>();
  const want = (path: string) => {
    if (path === "" || wanted.has(path)) return;
    wanted.add(path);
    needs.get(path)?.forEach(want);
  };
  // A module that is missing is built into the kernel.
  for (const module of MODULES) want(byName.get(module) ?? "");
  for (const path of wanted) {
    const name = path.split("/").at(-1)!;
    await Deno.copyFile(`${from}/${path}`, `${to}/${name}`);
    if (name.endsWith(".xz")) await must(["xz", "-d", `${to}/${name}`]);
  }
  await must(["busybox", "depmod", "-b", root, version]);
}

/** Copies a program and the shared libraries that `ldd` lists. */
export async function copyProgram(path: string, root: string): Promise<void> {
  await Deno.copyFile(path, `${root}/bin/${path.split("/").at(-1)}`);
  await copyLibraries(path, root);
}

/** Copies the shared libraries of a program to where it looks for them. */
export async function copyLibraries(path: string, root: string): Promise<void> {
  const libraries = [...(await must(["ldd", path])).matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]!);
  for (const library of libraries) {
    await Deno.mkdir(`${root}${library.slice(0, library.lastIndexOf("/"))}`, { recursive: true });
    await Deno.copyFile(library, `${root}${library}`);
  }
}
