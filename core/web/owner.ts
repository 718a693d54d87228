/**
 * Lets root work safely in the folder of the web process. That folder's owner may have made links in it to root's
 * files.
 *
 * @module
 */

import { openingAs } from "../../ffi/linux/privileges.ts";
import { webFolder } from "./folders.ts";

/**
 * Opens, makes and moves files in the folder of the web process, with the rights of its user if this is root.
 *
 * @param work Does the work, synchronously.
 */
export function asOwner<T>(data: string, work: () => T): T {
  if (Deno.uid() !== 0) return work();
  const { uid, gid } = Deno.statSync(webFolder(data));
  return openingAs(uid!, gid!, work);
}
