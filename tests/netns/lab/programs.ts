/**
 * A machine that lacks programs.
 *
 * @module
 */

import type { Host } from "./host.ts";

/**
 * Makes a folder with links to all programs of this machine but some, to be all of PATH.
 *
 * @returns The folder.
 */
export async function programsWithout(host: Host, ...names: string[]): Promise<string> {
  const folder = "/run/lab/programs";
  await host.sh(
    `mkdir ${folder}
     set -- /usr/local/sbin/* /usr/local/bin/* /usr/sbin/* /usr/bin/* /sbin/* /bin/*
     for program; do
       name=\${program##*/}
       # An empty folder leaves its pattern.
       if [ "$name" != '*' ] && [ ! -e ${folder}/$name ]; then ln -s $program ${folder}; fi
     done
     cd ${folder}; rm -f ${names.join(" ")}`,
  );
  return folder;
}
