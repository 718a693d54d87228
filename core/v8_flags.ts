/**
 * What makes V8 take the wide build of the WebAssembly module (wasm/mod.ts), and makes it fast there: products of 64 by
 * 64 bits, and one vector of 256 bits for two of 128. Without them everything works, slower.
 *
 * @module
 */

/** For `deno run --v8-flags=…`. */
export const V8_FLAGS = "--experimental-wasm-wide-arithmetic,--experimental-wasm-revectorize";
