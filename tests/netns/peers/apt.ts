/**
 * Debian packages: installed when a program is missing, or only unpacked into the cache when the machine should not
 * get them (a kernel, a compiler of another release).
 *
 * @module
 */

import { must, run, sleep } from "../lab/exec.ts";
import { cacheFolder, exists, findProgram, PeerUnavailable, say, told } from "./cache.ts";

/** Programs that tests call, and the packages of each. What every Debian has (priority required) is not among them. */
const PACKAGES: Readonly<Record<string, string>> = {
  "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
  "busybox": "busybox",
  "chattr": "e2fsprogs",
  "chromium-headless-shell": "chromium-headless-shell",
  "conntrack": "conntrack",
  "curl": "curl",
  "dnsmasq": "dnsmasq-base",
  "dropbear": "dropbear-bin",
  "dropbearconvert": "dropbear-bin",
  "fish": "fish",
  "gcc": "gcc libc6-dev",
  "groff": "groff-base",
  "ip": "iproute2",
  "ip6tables": "iptables",
  "ip6tables-save": "iptables",
  "iperf3": "iperf3",
  "iptables": "iptables",
  "iptables-save": "iptables",
  "journalctl": "systemd",
  "kill": "procps",
  "man": "man-db",
  "mandoc": "mandoc",
  "mke2fs": "e2fsprogs",
  "ncat": "ncat",
  "nft": "nftables",
  "openssl": "openssl",
  "pgrep": "procps",
  "ping": "iputils-ping",
  "ps": "procps",
  "qemu-aarch64": "qemu-user",
  "qemu-system-x86_64": "qemu-system-x86",
  "ss": "iproute2",
  "ssh": "openssh-client",
  "ssh-keygen": "openssh-client",
  "strace": "strace",
  "sudo": "sudo",
  "sysctl": "procps",
  "systemctl": "systemd",
  "systemd-analyze": "systemd",
  "systemd-run": "systemd",
  "tcpdump": "tcpdump",
  "tshark": "tshark",
  "wg": "wireguard-tools",
  "wg-quick": "wireguard-tools",
  "zbarimg": "zbar-tools",
  "zsh": "zsh",
};

/** All of these programs. */
export const PACKAGED: readonly string[] = Object.keys(PACKAGES);

/** Programs of packages that every Debian has. */
const REQUIRED = ["bash", "gzip", "ldd", "perl", "script", "sh", "unshare"];

/** Without questions, and with messages in English, so that they can be recognized. */
const ENVIRONMENT = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };

/** How apt-get says that another program keeps a lock, and which. */
const LOCKED = /(?:Could not get lock|Unable to (?:acquire|lock)).*/;
/** Minutes that another program may keep a lock: upgrades of a new machine take some. */
const LOCK_MINUTES = 20;

let updated = false;

/**
 * Runs apt-get, and waits while another program keeps apt's locks, as the daily upgrades of a machine do. (apt's own
 * `DPkg::Lock::Timeout` is for one of its locks alone.)
 *
 * @param words What apt-get is to do.
 * @param options Where to run it; `apt-get download` writes there.
 * @throws {PeerUnavailable} If it fails.
 */
export async function aptGet(words: readonly string[], options: { cwd?: string } = {}): Promise<void> {
  const command = ["apt-get", "-q", ...words];
  const end = performance.now() + LOCK_MINUTES * 60_000;
  for (let told = false;; told = true) {
    const { code, stderr } = await run(command, { ...options, env: ENVIRONMENT, timeout: 600_000 });
    if (code === 0) return;
    const lock = LOCKED.exec(stderr)?.[0];
    if (lock === undefined || performance.now() > end) {
      throw new PeerUnavailable(`${command.join(" ")} failed: ${stderr.trim().slice(-500)}`);
    }
    if (!told) say(`waiting for another program, up to ${LOCK_MINUTES} minutes: ${lock}`);
    await sleep(1_000);
  }
}

/**
 * Makes sure that programs are there, by installing what is missing.
 *
 * @param programs Their names.
 * @throws {PeerUnavailable} If one is missing and cannot be installed.
 * @throws {Error} If its package is not known: that is a mistake also where the program happens to be.
 */
export async function ensurePrograms(...programs: string[]): Promise<void> {
  const unknown = programs.filter((program) => !(program in PACKAGES) && !REQUIRED.includes(program));
  if (unknown.length > 0) throw new Error(`tests/netns/peers/apt.ts has no package of ${unknown.join(", ")}`);
  const missing = programs.filter((program) => !findProgram(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.flatMap((program) => PACKAGES[program]?.split(" ") ?? []))];
  await installPackages(packages, missing);
  const still = missing.filter((program) => !findProgram(program));
  if (still.length > 0) {
    throw new PeerUnavailable(`${still.join(", ")} not found after installing ${packages.join(" ")}`);
  }
}

/**
 * Installs packages, never removing one.
 *
 * @param packages Their names.
 * @param wanted What they are needed for, for messages.
 */
export async function installPackages(packages: readonly string[], wanted: readonly string[]): Promise<void> {
  const hint = `apt-get install ${packages.join(" ")}`;
  if (!findProgram("apt-get")) {
    throw new PeerUnavailable(`${wanted.join(", ")} missing, and this is not Debian: install by hand`);
  }
  if (Deno.uid() !== 0) throw new PeerUnavailable(`${wanted.join(", ")} missing: as root, ${hint}`);
  say(hint);
  await told("installing packages", async () => {
    await update();
    await aptGet(["install", "-y", "--no-remove", "--no-upgrade", "--no-install-recommends", ...packages]);
  });
}

/** Makes sure that programs which fetch over TLS have authorities to trust; the smallest Debian has none. */
export async function ensureCertificates(): Promise<void> {
  if (!exists("/etc/ssl/certs/ca-certificates.crt")) {
    await installPackages(["ca-certificates"], ["certificates"]);
  }
}

/**
 * Unpacks packages into a folder without installing them.
 *
 * @param packages Their names.
 * @param folder Where to.
 * @param release Another suite of Debian's archive, as "bookworm-backports"; the machine's own sources if left out.
 */
export async function unpackPackages(
  packages: readonly string[],
  folder: string,
  release?: string,
): Promise<void> {
  const source = release === undefined ? [] : await suite(release);
  if (release === undefined) await update();
  const downloads = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "debs-" });
  try {
    await aptGet([...source, "-o", "APT::Sandbox::User=root", "download", ...packages], { cwd: downloads });
    for await (const deb of Deno.readDir(downloads)) {
      await must(["dpkg-deb", "-x", `${downloads}/${deb.name}`, folder]);
    }
  } finally {
    await Deno.remove(downloads, { recursive: true });
  }
}

/** The packages that a package depends on directly. */
export async function dependencies(name: string): Promise<string[]> {
  await update();
  const text = await must(["apt-cache", "depends", "--important", name]);
  return [...text.matchAll(/Depends: ([^\s<>]+)/g)].map((match) => match[1]!);
}

/** The packages that this machine would get with others: those, and what they need that is not here yet. */
export async function wouldInstall(...packages: string[]): Promise<string[]> {
  if (!findProgram("apt-get")) throw new PeerUnavailable("this is not Debian");
  await update();
  const { code, stdout, stderr } = await run(
    ["apt-get", "-q", "--simulate", "--no-install-recommends", "install", ...packages],
  );
  if (code !== 0) throw new PeerUnavailable(`${packages.join(" ")} cannot be had: ${stderr.trim()}`);
  return [...stdout.matchAll(/^Inst (\S+)/gm)].map((match) => match[1]!);
}

/** The release of Debian, as "bookworm"; undefined elsewhere. */
export function debianRelease(): string | undefined {
  if (!exists("/etc/os-release")) return undefined;
  const text = Deno.readTextFileSync("/etc/os-release");
  return /^ID=debian$/m.test(text) ? /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1] : undefined;
}

async function update(): Promise<void> {
  if (updated) return;
  if (Deno.uid() === 0) await aptGet(["update"]);
  updated = true;
}

/** Options for apt that look at one suite alone, with its lists in the cache: the machine's sources stay as they are. */
async function suite(release: string): Promise<string[]> {
  const folder = `${cacheFolder()}/apt`;
  await Deno.mkdir(`${folder}/lists/partial`, { recursive: true });
  const archive = await archiveAddress();
  await Deno.writeTextFile(
    `${folder}/sources.list`,
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${archive} ${release} main\n`,
  );
  const options = [
    ...["-o", `Dir::Etc::sourcelist=${folder}/sources.list`],
    ...["-o", "Dir::Etc::sourceparts=/dev/null"],
    ...["-o", `Dir::State::lists=${folder}/lists`],
    ...["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="],
  ];
  await aptGet([...options, "update"]);
  return options;
}

/** Where this machine takes its Debian packages from; a suite it does not use yet is at the same place. */
async function archiveAddress(): Promise<string> {
  const format = ["--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"];
  const lines = (await must(["apt-get", "indextargets", ...format])).trim().split("\n").map((line) =>
    line.split(" ")
  );
  const places = lines.filter(([, release]) => release === debianRelease()).map(([place]) => place!);
  // Of a mirror and a snapshot of a past day, the mirror has the newer suites.
  const place = places.find((place) => !place.includes("snapshot")) ?? places[0];
  if (place === undefined) throw new PeerUnavailable("apt has no source of Debian's packages");
  return place;
}
