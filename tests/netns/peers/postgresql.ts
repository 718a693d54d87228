/**
 * PostgreSQL's programs: the machine's, or Debian's, unpacked. Installed, Debian's package would start a server.
 *
 * @module
 */

import { dependencies, installPackages, unpackPackages } from "./apt.ts";
import { cacheFolder, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** Where PostgreSQL is. */
export interface Postgresql {
  /** What its files are below: the machine's root, or a folder. */
  readonly root: string;
  /** The folder of its programs (initdb, postgres, psql), below the root. */
  readonly bin: string;
}

/** Where Debian's packages have the programs of each version. */
const VERSIONS = "usr/lib/postgresql";

/**
 * Finds or unpacks PostgreSQL.
 *
 * @throws {PeerUnavailable} If it is not there and cannot be fetched.
 */
export async function postgresql(): Promise<Postgresql> {
  const installed = programsIn("/");
  if (installed) return installed;
  const folder = await madeFolder(
    `${cacheFolder()}/postgresql-programs`,
    (folder) => told("unpacking PostgreSQL", () => unpack(folder)),
  );
  // The server is not root's.
  await Deno.chmod(folder, 0o755);
  const programs = programsIn(folder);
  if (!programs) throw new PeerUnavailable(`no PostgreSQL in ${folder}`);
  return programs;
}

/** Unpacks the server and psql, and installs the libraries that they need. */
async function unpack(folder: string): Promise<void> {
  const server = (await dependencies("postgresql")).find((name) => /^postgresql-\d+$/.test(name));
  if (!server) throw new PeerUnavailable("Debian has no PostgreSQL: install one");
  const client = server.replace("postgresql-", "postgresql-client-");
  const needs = [...await dependencies(server), ...await dependencies(client)];
  const libraries = new Set(needs.filter((name) => name.startsWith("lib")));
  await installPackages([...libraries], ["libraries of PostgreSQL"]);
  await unpackPackages([server, client], folder);
}

function programsIn(root: string): Postgresql | undefined {
  try {
    const versions = [...Deno.readDirSync(`${root}/${VERSIONS}`)].map(({ name }) => name);
    const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
    return newest === undefined ? undefined : { root, bin: `${VERSIONS}/${newest}/bin` };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
