/**
 * An ssh server on a host of the lab, and what a client of it needs.
 *
 * @module
 */

import type { Host } from "./host.ts";
import { FOLDER } from "./named_server.ts";

/** What both of them call. */
export const SSH_PROGRAMS = ["dropbear", "dropbearconvert", "ssh", "ssh-keygen"];

/** The client's settings, in place of those of the user who runs the test. */
const SETTINGS = [
  ...["BatchMode=yes", "StrictHostKeyChecking=no", "LogLevel=ERROR", `IdentityFile=${FOLDER}/key`],
  `UserKnownHostsFile=${FOLDER}/known_hosts`,
];

/** The same as options of ssh. */
export const SSH_OPTIONS = ["-F", "none", ...SETTINGS.flatMap((setting) => ["-o", setting])];

/** The same as a file for /etc/ssh/ssh_config.d. */
export const SSH_CONFIG = SETTINGS.map((setting) => `${setting.replace("=", " ")}\n`).join("");

/** Makes a key for a client. @returns Its public half. */
export async function makeSshKey(client: Host): Promise<string> {
  await client.sh(`ssh-keygen -q -t ed25519 -N '' -f ${FOLDER}/key`);
  return await client.sh(`cat ${FOLDER}/key.pub`);
}

/** Starts a server at port 22 of the tunnel. A user with the key can sign in as root. */
export async function startSshServer(server: Host, publicKey: string): Promise<void> {
  // Root gets a home of its own.
  await server.sh(
    `mount -t tmpfs -o mode=700 tmpfs ~root; mkdir -m 700 ~root/.ssh; cat > ~root/.ssh/authorized_keys
    chmod 600 ~root/.ssh/authorized_keys; ssh-keygen -q -t ed25519 -m PEM -N '' -f ${FOLDER}/host_key
    dropbearconvert openssh dropbear ${FOLDER}/host_key ${FOLDER}/host_key.dropbear`,
    { stdin: publicKey },
  );
  await server.start([
    "dropbear",
    "-F",
    "-E",
    "-s",
    "-r",
    `${FOLDER}/host_key.dropbear`,
    "-p",
    "10.8.0.1:22",
  ]);
}
