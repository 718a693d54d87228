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
  postMessage(answer: HashAnswer | "ready"): void;
};

/** The module and its 20 MiB are given up after these milliseconds without a password. */
const IDLE = 30_000;
let argon2id: Argon2id | undefined;
let idle: ReturnType<typeof setTimeout> | undefined;

scope.onmessage = ({ data: { id, password, ...options } }) => {
  clearTimeout(idle);
  idle = setTimeout(() => argon2id = undefined, IDLE);
  try {
    argon2id ??= new Argon2id();
    scope.postMessage({ id, tag: argon2id.hash(password, options) });
  } catch (error) {
    scope.postMessage({ id, error: (error as Error).message });
  } finally {
    password.fill(0);
  }
};

// A thread has the permissions of its process: what that gives up later, this thread has no more either.
scope.postMessage("ready");
