/**
 * What a user without root can do in place of `wgd quick up`.
 *
 * @module
 */

import { explainForbidden, namespaceFacts } from "../core/exec/forbidden.ts";
import { complain } from "./render/output.ts";

/**
 * Prints the commands that need no root.
 *
 * @param file The configuration file.
 */
export async function hintWithoutRoot(file: string): Promise<void> {
  const readable = await Deno.open(file).then((file) => {
    file.close();
    return true;
  }, () => false);
  const name = readable ? quoted(file) : "FILE";
  const whose = readable ? "" : ` (FILE is a copy of ${file} that you can read)`;
  const obstacle = obstacleToExec();
  if (obstacle === undefined) {
    complain(`hint: without root, for one program: wgd exec ${name} -- PROGRAM${whose}`);
  } else {
    complain(`hint: wgd exec does not work here: ${obstacle}`);
  }
  complain(`hint: without root, for programs that can use a proxy: wgd proxy ${name} --socks5 1080${whose}`);
}

function obstacleToExec(): string | undefined {
  try {
    Deno.openSync("/dev/net/tun", { read: true, write: true }).close();
  } catch {
    return "/dev/net/tun cannot be opened";
  }
  return explainForbidden(namespaceFacts(), "")?.cause;
}

function quoted(file: string): string {
  return /^[\w./=+-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`;
}
