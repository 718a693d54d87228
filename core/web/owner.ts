/**
 * Root at work in the folder of the web process. Its user owns it, and may have laid links in it to files of root's.
 *
 * @module
 */

import { openingAs } from "../../ffi/linux/privileges.ts";
import { webFolder } from "./folders.ts";

/**
 * Opens, makes and moves files in the folder of the web process, as its user if this is root.
 *
 * @param work Does it; it is not asynchronous.
 */
export function asOwner<T>(data: string, work: () => T): T {
  if (Deno.uid() !== 0) return work();
  const { uid, gid } = Deno.statSync(webFolder(data));
  return openingAs(uid!, gid!, work);
}
