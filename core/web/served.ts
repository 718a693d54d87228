/**
 * Whether `wgd web` keeps the devices of an interface. Small, since every `wgd peer` asks.
 *
 * @module
 */

import { keeperFolder } from "./folders.ts";

/** Whether a server has the interface. Only root can know. */
export async function isServed(data: string, name: string): Promise<boolean> {
  try {
    return (await Deno.stat(`${keeperFolder(data)}/${name}.conf`)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}
