/**
 * What makes V8 take the wide build of the WebAssembly module (wasm/mod.ts), and makes it fast there: products of 64 by
 * 64 bits, and on x86-64 one vector of 256 bits for two of 128. Without them everything works, slower.
 *
 * @module
 */

/** For `deno run --v8-flags=…` on a machine, named as `Deno.build.arch` names it. V8 stops at a flag it does not know. */
export function v8Flags(arch: typeof Deno.build.arch): string {
  const flags = ["--experimental-wasm-wide-arithmetic"];
  // V8 has this flag on x86-64 alone: no other machine that it compiles for has vectors of 256 bits.
  if (arch === "x86_64") flags.push("--experimental-wasm-revectorize");
  return flags.join(",");
}

/** The same for this machine. */
export const V8_FLAGS: string = v8Flags(Deno.build.arch);

/**
 * Has V8 compile early what runs often, so that a rehearsal (core/tunnel/rehearsal.ts) is short: after so many calls of a
 * function, and so many since it last met something new (by default 400 and 500).
 */
const EARLY: readonly string[] = [
  "--invocation-count-for-maglev=60",
  "--minimum-invocations-after-ic-update=60",
];

/** What the program itself is started with: {@linkcode v8Flags}, and a V8 that compiles early. */
export function programFlags(arch: typeof Deno.build.arch): string {
  return [v8Flags(arch), ...EARLY].join(",");
}
