/**
 * Becomes a program with only the rights of a container: the user nobody, no capability, no writable folder, no TUN
 * device, and Docker's seccomp profile. It runs inside a host, as root. Its arguments are the program's command line.
 *
 * @module
 */

import { NOBODY } from "./named_server.ts";

/** linux/seccomp.h, linux/filter.h, linux/bpf_common.h */
const SECCOMP_SET_MODE_FILTER = 1n;
const [ALLOW, KILL, ERRNO] = [0x7fff_0000, 0x8000_0000, 0x0005_0000];
const [LOAD, JUMP_IF_EQUAL, JUMP_IF_SET, RETURN] = [0x20, 0x15, 0x45, 0x06];
/** Offsets in struct seccomp_data (linux/seccomp.h); arguments are little-endian. */
const [NUMBER, ARCHITECTURE, FIRST_ARGUMENT] = [0, 4, 16];
const [EPERM, ENOSYS] = [1, 38];
/** All flags that make namespaces (linux/sched.h). */
const CLONE_NAMESPACES = 0x7e02_0000;

/**
 * What Docker's profile refuses a program without capabilities, as far as it concerns what is tried here
 * (moby/profiles, seccomp/default.json). The numbers are those of asm/unistd_64.h and asm-generic/unistd.h.
 */
const SYSTEMS = {
  x86_64: {
    architecture: 0xc000_003e,
    seccomp: 317n,
    clone: 56,
    refused: {
      ...{
        unshare: 272,
        setns: 308,
        mount: 165,
        umount2: 166,
        pivot_root: 155,
        open_tree: 428,
        move_mount: 429,
      },
      ...{ fsopen: 430, fsconfig: 431, fsmount: 432, fspick: 433, mount_setattr: 442, bpf: 321 },
      ...{ perf_event_open: 298, userfaultfd: 323, add_key: 248, request_key: 249, keyctl: 250 },
      ...{ io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427, open_by_handle_at: 304 },
    },
  },
  aarch64: {
    architecture: 0xc000_00b7,
    seccomp: 277n,
    clone: 220,
    refused: {
      ...{ unshare: 97, setns: 268, mount: 40, umount2: 39, pivot_root: 41, open_tree: 428, move_mount: 429 },
      ...{ fsopen: 430, fsconfig: 431, fsmount: 432, fspick: 433, mount_setattr: 442, bpf: 280 },
      ...{ perf_event_open: 241, userfaultfd: 282, add_key: 217, request_key: 218, keyctl: 219 },
      ...{ io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427, open_by_handle_at: 265 },
    },
  },
} as const;
const CLONE3 = 435;

const { architecture, seccomp, clone, refused } = SYSTEMS[Deno.build.arch];

/** One instruction: struct sock_filter. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

const filter: Instruction[] = [
  [LOAD, 0, 0, ARCHITECTURE],
  [JUMP_IF_EQUAL, 1, 0, architecture],
  [RETURN, 0, 0, KILL],
  [LOAD, 0, 0, NUMBER],
  // C libraries then use clone, whose flags can be looked at.
  [JUMP_IF_EQUAL, 0, 1, CLONE3],
  [RETURN, 0, 0, ERRNO | ENOSYS],
  ...Object.values(refused).flatMap((number): Instruction[] => [
    [JUMP_IF_EQUAL, 0, 1, number],
    [RETURN, 0, 0, ERRNO | EPERM],
  ]),
  [JUMP_IF_EQUAL, 0, 3, clone],
  [LOAD, 0, 0, FIRST_ARGUMENT],
  [JUMP_IF_SET, 0, 1, CLONE_NAMESPACES],
  [RETURN, 0, 0, ERRNO | EPERM],
  [RETURN, 0, 0, ALLOW],
];

const { symbols } = Deno.dlopen("libc.so.6", {
  syscall: { parameters: ["i64", "u64", "u64", "buffer"], result: "i64" },
  execvp: { parameters: ["buffer", "buffer"], result: "i32" },
});
const pointer = (bytes: BufferSource) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));

const code = new DataView(new ArrayBuffer(filter.length * 8));
filter.forEach(([code_, ifTrue, ifFalse, value], at) => {
  code.setUint16(at * 8, code_, true);
  code.setUint8(at * 8 + 2, ifTrue);
  code.setUint8(at * 8 + 3, ifFalse);
  code.setUint32(at * 8 + 4, value, true);
});
// struct sock_fprog
const program = new DataView(new ArrayBuffer(16));
program.setUint16(0, filter.length, true);
program.setBigUint64(8, pointer(code), true);

const words = [
  ...["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--inh-caps=-all"],
  ...["--bounding-set=-all", "--no-new-privs", "--", ...Deno.args],
].map((word) => new TextEncoder().encode(`${word}\0`));
const list = new BigUint64Array([...words.map(pointer), 0n]);

// Of this thread alone, which becomes the program.
const failed = symbols.syscall(seccomp, SECCOMP_SET_MODE_FILTER, 0n, new Uint8Array(program.buffer)) !== 0n;
if (!failed) symbols.execvp(words[0]!, list);
console.error(failed ? "no filter of system calls can be set" : "setpriv cannot be started");
Deno.exit(77);
