/**
 * Builds programs in Go with the machine's toolchain or Debian's.
 *
 * @module
 */

import { run } from "../lab/exec.ts";
import { debianRelease, unpackPackages } from "./apt.ts";
import { cacheFolder, findProgram, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** From this minor version on, `go` fetches by itself the toolchain that a module asks for. */
const SELF_UPDATING = 21;
/** Where a release of Debian has a Go that is new enough. */
const DEBIAN_GO: Readonly<Record<string, { version: string; suite: string }>> = {
  bookworm: { version: "1.23", suite: "bookworm-backports" },
  trixie: { version: "1.24", suite: "trixie" },
};

/**
 * Runs `go install` or `go build` and deletes what it fetched.
 *
 * @param words Its arguments.
 * @param folder Where the executable goes.
 * @param source The folder to run in.
 * @throws {PeerUnavailable} If there is no Go, or it fails.
 */
export async function runGo(words: readonly string[], folder: string, source?: string): Promise<void> {
  const go = await findGo();
  const [action, ...rest] = words;
  const env = {
    GOBIN: folder,
    GOTOOLCHAIN: "auto",
    GOFLAGS: "-buildvcs=false",
    // No cgo: the build needs no C compiler and the executable runs anywhere.
    CGO_ENABLED: "0",
    GOPATH: `${folder}/go`,
    GOCACHE: `${folder}/go/build`,
  };
  const command = [go, action!, "-modcacherw", ...rest];
  const finished = await run(command, {
    env,
    timeout: 600_000,
    ...(source !== undefined && { cwd: source }),
  });
  if (finished.code !== 0) {
    throw new PeerUnavailable(`go ${words.join(" ")} failed: ${finished.stderr.trim().slice(-500)}`);
  }
  await Deno.remove(`${folder}/go`, { recursive: true });
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
