/**
 * Samba as a domain controller of Active Directory, unpacked: installed, it would start servers on this machine.
 *
 * @module
 */

import { unpackPackages, wouldInstall } from "./apt.ts";
import { cacheFolder, exists, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** Where Samba is. */
export interface Samba {
  /** Its `/usr`, to be laid over the machine's: Samba's programs know the paths of their modules. */
  readonly usr: string;
}

/**
 * Finds or unpacks it, with everything it needs that this machine lacks.
 *
 * @throws {PeerUnavailable} If it is not there and cannot be fetched.
 */
export async function samba(): Promise<Samba> {
  const folder = await madeFolder(
    `${cacheFolder()}/samba`,
    (folder) =>
      told("unpacking Samba", async () => {
        // Debian 13 has the controller's parts in packages of their own.
        await unpackPackages(await wouldInstall("samba-ad-dc", "samba-ad-provision"), folder);
      }),
  );
  const usr = `${folder}/usr`;
  if (!exists(`${usr}/sbin/samba`) || !exists(`${usr}/bin/samba-tool`)) {
    throw new PeerUnavailable(`no Samba in ${folder}`);
  }
  return { usr };
}
