/**
 * OpenLDAP's server, unpacked: installed, it would start and listen on this machine's port 389.
 *
 * @module
 */

import { dependencies, installPackages, unpackPackages } from "./apt.ts";
import { cacheFolder, exists, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** What a directory is run from. */
export interface Slapd {
  readonly daemon: string;
  /** For LD_LIBRARY_PATH. */
  readonly libraries: string;
  readonly modules: string;
  readonly schemas: string;
}

/**
 * Finds or unpacks it.
 *
 * @throws {PeerUnavailable} If it is not there and cannot be fetched.
 */
export async function slapd(): Promise<Slapd> {
  const folder = await madeFolder(
    `${cacheFolder()}/slapd`,
    (folder) =>
      told("unpacking slapd", async () => {
        // Of its libraries those of its SQL and Perl backends are left out.
        const libraries = (await dependencies("slapd")).filter((name) => /^lib(?!perl|odbc)/.test(name));
        await installPackages(libraries, ["libraries of slapd"]);
        await unpackPackages(["slapd"], folder);
      }),
  );
  const daemon = `${folder}/usr/sbin/slapd`;
  if (!exists(daemon)) throw new PeerUnavailable(`no slapd in ${folder}`);
  return {
    daemon,
    libraries: `${folder}/usr/lib/${Deno.build.arch}-linux-gnu`,
    modules: `${folder}/usr/lib/ldap`,
    schemas: `${folder}/etc/ldap/schema`,
  };
}
