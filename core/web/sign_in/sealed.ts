/**
 * Secrets in a store that cannot be decrypted, because the key file is missing or was replaced.
 *
 * @module
 */

import type { Store } from "../store/store.ts";
import { placeOfSecret } from "./provider_access.ts";
import { type Seal, SealError } from "./seal.ts";
import { placeOfTotp } from "./sign_in.ts";

/** The number of second factors and passwords of providers that a key cannot decrypt. @param seal Returns undefined if there is no key. */
export async function countUnreadable(store: Store, seal: () => Promise<Seal | undefined>): Promise<number> {
  const sealed = [
    ...(await store.providers.list()).map(({ id, sealedSecret }) =>
      [sealedSecret, placeOfSecret(id)] as const
    ),
    ...(await store.database.all("SELECT id, sealed_totp FROM identities WHERE sealed_totp IS NOT NULL")).map(
      (
        { id, sealed_totp },
      ) => [sealed_totp as string, placeOfTotp(String(id))] as const,
    ),
  ].filter((pair): pair is [string, string] => pair[0] !== null);
  if (sealed.length === 0) return 0;
  const key = await seal();
  if (!key) return sealed.length;
  return sealed.filter(([text, place]) => !opens(key, text, place)).length;
}

function opens(seal: Seal, text: string, place: string): boolean {
  try {
    seal.open(text, place);
    return true;
  } catch (error) {
    if (error instanceof SealError) return false;
    throw error;
  }
}
