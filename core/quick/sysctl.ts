/**
 * Sets kernel parameters without the program `sysctl`, which small systems and containers do not have.
 *
 * @module
 */

import { FileError } from "../file_error.ts";

/**
 * Sets a kernel parameter.
 *
 * @param assignment In the form of `sysctl`: `net.ipv4.conf.all.src_valid_mark=1`.
 * @throws {FileError} If it cannot be set.
 */
export async function setSysctl(assignment: string): Promise<void> {
  const [name, value] = assignment.split("=");
  const path = `/proc/sys/${name!.replaceAll(".", "/")}`;
  try {
    await Deno.writeTextFile(path, `${value}\n`, { create: false });
  } catch (error) {
    throw new FileError("write", path, error);
  }
}
