/**
 * Gives up root, permanently or while files are opened.
 *
 * @module
 */

import { check } from "./libc.ts";

const SYMBOLS = {
  setgroups: { parameters: ["usize", "buffer"], result: "i32" },
  setresgid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  setresuid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  prctl: { parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
  capget: { parameters: ["buffer", "buffer"], result: "i32" },
  capset: { parameters: ["buffer", "buffer"], result: "i32" },
} as const;

/** In linux/prctl.h. */
const PR_SET_KEEPCAPS = 8;
/** _LINUX_CAPABILITY_VERSION_3 in linux/capability.h: two of `struct __user_cap_data_struct`. */
const CAPABILITY_VERSION = 0x20080522;
/** Of capabilities 0 to 31, as a bit. */
const CAP_NET_BIND_SERVICE = 1 << 10;

const FILE_SYMBOLS = {
  setfsgid: { parameters: ["u32"], result: "u32" },
  setfsuid: { parameters: ["u32"], result: "u32" },
} as const;

/** No user has this number, so setting it only returns the current one (setfsuid(2)). */
const INVALID_ID = 0xffffffff;

/**
 * Opens files with the rights of another user, as root. Only this thread changes, so it has no effect on asynchronous
 * work (setfsuid(2)).
 *
 * @param work Opens them; it is not asynchronous.
 * @throws {Error} If this is not permitted. Nothing is done then.
 */
export function openingAs<T>(user: number, group: number, work: () => T): T {
  const { setfsgid, setfsuid } = Deno.dlopen("libc.so.6", FILE_SYMBOLS).symbols;
  const groupBefore = setfsgid(group);
  const userBefore = setfsuid(user);
  try {
    // These calls report no errors.
    if (setfsuid(INVALID_ID) !== user || setfsgid(INVALID_ID) !== group) {
      throw new Error(`files cannot be opened as user ${user}: permission denied`);
    }
    return work();
  } finally {
    setfsuid(userBefore);
    setfsgid(groupBefore);
  }
}

const UNCHANGED = 0xffffffff;

/**
 * Calls a function with the rights of another user, as root, including asynchronous work. All threads of the process
 * change, so nothing else may run at the same time.
 *
 * @throws {SystemError} If this is not allowed.
 */
export async function actingAs<T>(user: number, group: number, work: () => Promise<T>): Promise<T> {
  const { setresgid, setresuid } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  check(setresgid(UNCHANGED, group, UNCHANGED), `acting as group ${group}`);
  try {
    check(setresuid(UNCHANGED, user, UNCHANGED), `acting as user ${user}`);
    return await work();
  } finally {
    check(setresuid(UNCHANGED, 0, UNCHANGED), "acting as root again");
    check(setresgid(UNCHANGED, 0, UNCHANGED), "acting as root's group again");
  }
}

/**
 * Becomes a user with a single group, permanently. glibc changes all threads of the process (nptl(7)), including
 * running workers. Only this thread keeps one capability, if it has it: to listen on ports below 1024
 * (capabilities(7)).
 *
 * @throws {SystemError} If this is not permitted. The process must end then, because it may have changed partly.
 */
export function becomeUser(user: number, group: number): void {
  const { symbols } = Deno.dlopen("libc.so.6", SYMBOLS);
  const { setgroups, setresgid, setresuid, prctl } = symbols;
  const lowPorts = permitted(symbols) & CAP_NET_BIND_SERVICE;
  check(prctl(PR_SET_KEEPCAPS, 1n, 0n, 0n, 0n), "keeping capabilities");
  check(setgroups(0n, null), "leaving root's groups");
  check(setresgid(group, group, group), `changing to group ${group}`);
  check(setresuid(user, user, user), `changing to user ${user}`);
  keepOnly(symbols, lowPorts);
}

type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The permitted capabilities of this thread from 0 to 31. */
function permitted({ capget }: Symbols): number {
  const data = new Uint32Array(6);
  check(capget(Uint32Array.of(CAPABILITY_VERSION, 0), data), "reading capabilities");
  return data[1]!;
}

/** Gives up all other capabilities of this thread (capabilities(7)). */
function keepOnly({ capset }: Symbols, capabilities: number): void {
  const data = Uint32Array.of(capabilities, capabilities, 0, 0, 0, 0);
  check(capset(Uint32Array.of(CAPABILITY_VERSION, 0), data), "giving up capabilities");
}
