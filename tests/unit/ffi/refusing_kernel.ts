/**
 * A kernel that refuses: the test replaces some calls of the C library and returns any errno. All others are passed on.
 *
 * @module
 */

import { type Libc, libc } from "../../../ffi/linux/libc.ts";

/** What a replacement receives besides the call's arguments. */
export interface Refusal {
  /** Sets errno and returns -1. */
  fail(errno: number): number;
}

/** Replaces calls until it is disposed of. */
export function refusing(standIns: (refusal: Refusal, real: Libc) => Partial<Libc>): Disposable {
  const calls = libc() as { -readonly [Name in keyof Libc]: Libc[Name] };
  const real = { ...calls };
  const errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(real.__errno_location()!, 4));
  const fail = (code: number) => {
    errno[0] = code;
    return -1;
  };
  Object.assign(calls, standIns({ fail }, real));
  return { [Symbol.dispose]: () => void Object.assign(calls, real) };
}
