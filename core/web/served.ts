/**
 * Whether `wgd web` manages the devices of an interface. This module is small, since every `wgd peer` loads it.
 *
 * @module
 */

import { keeperFolder } from "./folders.ts";

/** Whether a server has the interface. Only root can find this out. */
export async function isServed(data: string, name: string): Promise<boolean> {
  try {
    return (await Deno.stat(`${keeperFolder(data)}/${name}.conf`)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}
