/**
 * Flags with which V8 accepts the wide build of the WebAssembly module (wasm/mod.ts) and runs it fast: products of 64
 * by 64 bits, and on x86-64 one vector of 256 bits for two of 128. Without them, everything works but is slower.
 *
 * @module
 */

/** For `deno run --v8-flags=…` on a machine, by its name in `Deno.build.arch`. V8 stops at an unknown flag. */
export function v8Flags(arch: typeof Deno.build.arch): string {
  const flags = ["--experimental-wasm-wide-arithmetic"];
  // V8 has this flag only on x86-64. No other machine that it compiles for has vectors of 256 bits.
  if (arch === "x86_64") flags.push("--experimental-wasm-revectorize");
  return flags.join(",");
}

/** The same for this machine. */
export const V8_FLAGS: string = v8Flags(Deno.build.arch);

/**
 * Makes V8 compile frequent code early, so that a rehearsal (core/tunnel/rehearsal.ts) is short: after this many calls
 * of a function, and this many since its last new type (by default 400 and 500).
 */
const EARLY: readonly string[] = [
  "--invocation-count-for-maglev=60",
  "--minimum-invocations-after-ic-update=60",
];

/**
 * Makes V8 apply its slowest compiler late: after ten times the default number of calls (3,000) and of loops (500). It
 * shares its processor time with the packets, and its code is hardly faster here, because most of the work is
 * WebAssembly and system calls. A flow reaches its full speed earlier (tests/bench/FINDINGS.md).
 */
const LATE: readonly string[] = [
  "--invocation-count-for-turbofan=30000",
  "--invocation-count-for-osr=5000",
];

/**
 * Lets V8 keep less memory for new objects: 6 MB in place of 48. For the keeper and the web process, which wait most of the
 * time.
 */
export const FRUGAL = "--max-semi-space-size=2";

/**
 * The same for the process of an interface, 3 MB. Its threads allocate little, and each lane has its own memory for new
 * objects, which otherwise grows although nearly all of them are garbage (tests/bench/FINDINGS.md).
 */
export const FRUGAL_INTERFACE = "--max-semi-space-size=1";

/** The flags of the program itself: {@linkcode v8Flags}, and when V8 compiles. */
export function programFlags(arch: typeof Deno.build.arch): string {
  return [v8Flags(arch), ...EARLY, ...LATE].join(",");
}
