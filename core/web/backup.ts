/**
 * A copy of the store. It has no key in it: those are the keeper's.
 *
 * @module
 */

import { webFolder } from "./folders.ts";
import { newId } from "./store/ids.ts";
import type { Store } from "./store/store.ts";

/** A copy of the store as bytes. */
export async function readBackup(
  store: Store,
  data: string,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const path = `${webFolder(data)}/.backup-${newId()}`;
  try {
    await store.database.copyTo(path);
    const file = await Deno.open(path);
    return file.readable;
  } finally {
    // It stays readable while it is open.
    await Deno.remove(path).catch(() => {});
  }
}
