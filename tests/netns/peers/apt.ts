/**
 * Debian packages: installed when a program is missing, or only unpacked into the cache when the machine should not
 * get them (a kernel, a compiler of another release).
 *
 * @module
 */

import { must, run } from "../lab/exec.ts";
import { cacheFolder, exists, findProgram, PeerUnavailable, told } from "./cache.ts";

/** Programs that tests call, and the package of each. */
const PACKAGES: Readonly<Record<string, string>> = {
  "bash": "bash",
  "conntrack": "conntrack",
  "fish": "fish",
  "gcc": "gcc",
  "groff": "groff-base",
  "gzip": "gzip",
  "ip": "iproute2",
  "iperf3": "iperf3",
  "iptables": "iptables",
  "ldd": "libc-bin",
  "mandoc": "mandoc",
  "mke2fs": "e2fsprogs",
  "ncat": "ncat",
  "nft": "nftables",
  "ping": "iputils-ping",
  "ps": "procps",
  "qemu-system-x86_64": "qemu-system-x86",
  "script": "bsdutils",
  "ss": "iproute2",
  "sysctl": "procps",
  "systemctl": "systemd",
  "tcpdump": "tcpdump",
  "tshark": "tshark",
  "unshare": "util-linux",
  "wg": "wireguard-tools",
  "wg-quick": "wireguard-tools",
  "zbarimg": "zbar-tools",
  "zsh": "zsh",
};

const OPTIONS = ["-y", "-q", "--no-install-recommends"];
const QUIET = { DEBIAN_FRONTEND: "noninteractive" };

let updated = false;

/**
 * Makes sure that programs are there, by installing what is missing.
 *
 * @param programs Names from {@linkcode PACKAGES}.
 * @throws {PeerUnavailable} If one is missing and cannot be installed.
 */
export async function ensurePrograms(...programs: string[]): Promise<void> {
  const missing = programs.filter((program) => !findProgram(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => PACKAGES[program] ?? program))];
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
  await told(hint, async () => {
    await update();
    const finished = await run(["apt-get", "install", "--no-remove", ...OPTIONS, ...packages], {
      env: QUIET,
      timeout: 600_000,
    });
    if (finished.code !== 0) {
      throw new PeerUnavailable(`${hint} failed: ${finished.stderr.trim().slice(-500)}`);
    }
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
    // apt-get download writes where it is called.
    const script = 'cd "$1" && shift && exec "$@"';
    const download = ["apt-get", ...source, "-q", "-o", "APT::Sandbox::User=root", "download", ...packages];
    const finished = await run(["sh", "-c", script, "sh", downloads, ...download], { timeout: 600_000 });
    if (finished.code !== 0) {
      throw new PeerUnavailable(
        `cannot download ${packages.join(", ")}: ${finished.stderr.trim().slice(-300)}`,
      );
    }
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

/** The release of Debian, as "bookworm"; undefined elsewhere. */
export function debianRelease(): string | undefined {
  if (!exists("/etc/os-release")) return undefined;
  const text = Deno.readTextFileSync("/etc/os-release");
  return /^ID=debian$/m.test(text) ? /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1] : undefined;
}

async function update(): Promise<void> {
  if (updated) return;
  if (Deno.uid() === 0) {
    const finished = await run(["apt-get", "update", "-q"], { timeout: 300_000 });
    if (finished.code !== 0) {
      throw new PeerUnavailable(`apt-get update failed: ${finished.stderr.trim().slice(-500)}`);
    }
  }
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
  const finished = await run(["apt-get", ...options, "update", "-q"], { timeout: 300_000 });
  if (finished.code !== 0) throw new PeerUnavailable(`no ${release}: ${finished.stderr.trim().slice(-300)}`);
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
