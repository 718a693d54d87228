/**
 * Giving up root for good.
 *
 * @module
 */

import { check } from "./libc.ts";

const SYMBOLS = {
  setgroups: { parameters: ["usize", "buffer"], result: "i32" },
  setresgid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  setresuid: { parameters: ["u32", "u32", "u32"], result: "i32" },
} as const;

/**
 * Becomes a user with one group and no other. glibc changes all threads of the process (nptl(7)), so workers that run
 * already change too. There is no way back.
 *
 * @throws {SystemError} If this is not allowed; then the process must end, since it may have changed in part.
 */
export function becomeUser(user: number, group: number): void {
  const { setgroups, setresgid, setresuid } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  check(setgroups(0n, null), "leaving root's groups");
  check(setresgid(group, group, group), `changing to group ${group}`);
  check(setresuid(user, user, user), `changing to user ${user}`);
}
