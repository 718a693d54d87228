/**
 * The thread that hashes passwords. It hashes one at a time, so that many sign-ins use at most one core.
 *
 * @module
 */

import { Argon2id } from "../../../wasm/argon2id.ts";

/** A password to hash. */
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

/** The tag or an error. */
export type HashAnswer =
  & { readonly id: number }
  & ({ readonly tag: Uint8Array } | { readonly error: string });

const scope = self as unknown as {
  onmessage: (event: MessageEvent<HashQuestion>) => void;
  postMessage(answer: HashAnswer | "ready"): void;
};

/** The module and its 20 MiB are released after these milliseconds without a password. */
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

// A thread has the permissions of its process. If the process gives up a permission later, the thread loses it too.
scope.postMessage("ready");
