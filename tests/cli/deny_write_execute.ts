/**
 * Runs a program that may not have memory that is writable and executable, as with `MemoryDenyWriteExecute=` of a
 * systemd unit. Exit code 77: this kernel does not support it (before Linux 6.3).
 *
 * @module
 */

/** linux/prctl.h */
const [PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN] = [65, 1n];

const { symbols } = Deno.dlopen("libc.so.6", {
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  execv: { parameters: ["buffer", "buffer"], result: "i32" },
});
const words = Deno.args.map((word) => new TextEncoder().encode(`${word}\0`));
const list = new BigUint64Array([
  ...words.map((word) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(word))),
  0n,
]);
// This process keeps V8's existing memory, and allocates no more before it becomes the other program.
if (symbols.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0n, 0n, 0n) === 0) symbols.execv(words[0]!, list);
Deno.exit(77);
