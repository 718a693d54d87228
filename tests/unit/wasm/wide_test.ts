/**
 * The tests of crypto_test.ts for the wide build, which needs flags that `deno task test` gives.
 *
 * @module
 */

import { MODULE } from "../../../wasm/module_wide.ts";

if (WebAssembly.validate(Uint8Array.fromBase64(MODULE))) await import("./crypto_test.ts?build=wide");
else Deno.test({ name: "wide: this V8 lacks the flag for it", ignore: true, fn: () => {} });
