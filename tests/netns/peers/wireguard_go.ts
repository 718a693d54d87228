/**
 * The newest wireguard-go: Debian's is of 2022 and lacks segmentation offload, so it is built from its module.
 *
 * @module
 */

import { run } from "../lab/exec.ts";
import { debianRelease, ensureCertificates, unpackPackages } from "./apt.ts";
import { cacheFolder, findProgram, madeFolder, PeerUnavailable, told } from "./cache.ts";

const MODULE = "golang.zx2c4.com/wireguard@latest";
/** From this minor version on, `go` fetches by itself the toolchain that a module asks for. */
const SELF_UPDATING = 21;
/** Where a release of Debian has a Go that is new enough. */
const DEBIAN_GO: Readonly<Record<string, { version: string; suite: string }>> = {
  bookworm: { version: "1.23", suite: "bookworm-backports" },
  trixie: { version: "1.24", suite: "trixie" },
};

/**
 * Finds or builds wireguard-go.
 *
 * @returns Path of its executable.
 * @throws {PeerUnavailable} If it is not there and cannot be built.
 */
export async function wireguardGo(): Promise<string> {
  const folder = await madeFolder(`${cacheFolder()}/wireguard-go`, async (folder) => {
    const go = await findGo();
    await ensureCertificates();
    await told("building wireguard-go", async () => {
      const env = {
        GOBIN: folder,
        GOTOOLCHAIN: "auto",
        GOFLAGS: "-buildvcs=false",
        // No cgo: the build needs no C compiler and the executable runs anywhere.
        CGO_ENABLED: "0",
        GOPATH: `${folder}/go`,
        GOCACHE: `${folder}/go/build`,
      };
      const finished = await run([go, "install", "-modcacherw", MODULE], { env, timeout: 600_000 });
      if (finished.code !== 0) {
        throw new PeerUnavailable(`go install ${MODULE} failed: ${finished.stderr.trim().slice(-500)}`);
      }
      await Deno.remove(`${folder}/go`, { recursive: true });
    });
  });
  return `${folder}/wireguard`;
}

/**
 * A Go that can build it: the machine's, or else that of Debian's backports, unpacked into the cache. (Bookworm's own,
 * 1.19, is too old for the module and for fetching a newer one.)
 */
async function findGo(): Promise<string> {
  const installed = findProgram("go", ["/usr/local/go/bin"]);
  if (installed && await minorVersion(installed) >= SELF_UPDATING) return installed;
  const debian = DEBIAN_GO[debianRelease() ?? ""];
  if (!debian) throw new PeerUnavailable(`no Go of at least 1.${SELF_UPDATING} here: install one`);
  const packages = [`golang-${debian.version}-go`, `golang-${debian.version}-src`];
  const folder = await madeFolder(
    `${cacheFolder()}/go`,
    (folder) => told("unpacking Debian's Go", () => unpackPackages(packages, folder, debian.suite)),
  );
  return `${folder}/usr/lib/go-${debian.version}/bin/go`;
}

async function minorVersion(go: string): Promise<number> {
  const { stdout } = await run([go, "version"]);
  return Number(/go1\.(\d+)/.exec(stdout)?.[1] ?? 0);
}
