/**
 * systemd-resolved with a bus of its own, unpacked: installed, it would replace this machine's resolvconf.
 *
 * @module
 */

import { unpackPackages } from "./apt.ts";
import { cacheFolder, exists, madeFolder, PeerUnavailable, told } from "./cache.ts";

/** Programs that need libraries beside them. */
export interface Resolved {
  /** For LD_LIBRARY_PATH. */
  readonly libraries: string;
  readonly daemon: string;
  readonly resolvectl: string;
  readonly bus: string;
}

/**
 * Finds or unpacks it.
 *
 * @returns Paths of its programs.
 * @throws {PeerUnavailable} If it is not there and cannot be fetched.
 */
export async function systemdResolved(): Promise<Resolved> {
  const packages = ["systemd-resolved", "libsystemd-shared", "dbus-daemon", "libdbus-1-3", "libapparmor1"];
  const folder = await madeFolder(
    `${cacheFolder()}/systemd-resolved`,
    (folder) => told("unpacking systemd-resolved", () => unpackPackages(packages, folder)),
  );
  // Debian 12's packages have files in /lib and /usr/lib, Debian 13's in /usr/lib alone.
  const [usr, plain] = [`${folder}/usr/lib`, `${folder}/lib`];
  const daemon = [usr, plain].map((lib) => `${lib}/systemd/systemd-resolved`).find(exists);
  if (!daemon) throw new PeerUnavailable(`no systemd-resolved in ${folder}`);
  const machine = `${Deno.build.arch}-linux-gnu`;
  return {
    libraries: [`${usr}/${machine}`, `${plain}/${machine}`, `${usr}/${machine}/systemd`].join(":"),
    daemon,
    resolvectl: `${folder}/usr/bin/resolvectl`,
    bus: `${folder}/usr/bin/dbus-daemon`,
  };
}
