/**
 * The thread that hashes passwords: one at a time, so that a crowd at the door takes one core at most.
 *
 * @module
 */

import { Argon2id } from "../../../wasm/argon2id.ts";

/** What to hash. */
export interface HashQuestion {
  readonly id: number;
  readonly password: Uint8Array<ArrayBuffer>;
  readonly salt: Uint8Array;
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
  /** Bytes of the tag. */
  readonly length: number;
}

/** The tag, or why there is none. */
export type HashAnswer =
  & { readonly id: number }
  & ({ readonly tag: Uint8Array } | { readonly error: string });

const scope = self as unknown as {
  onmessage: (event: MessageEvent<HashQuestion>) => void;
  postMessage(answer: HashAnswer): void;
};
const argon2id = new Argon2id();

scope.onmessage = ({ data: { id, password, ...options } }) => {
  try {
    scope.postMessage({ id, tag: argon2id.hash(password, options) });
  } catch (error) {
    scope.postMessage({ id, error: (error as Error).message });
  } finally {
    password.fill(0);
  }
};
