/**
 * The two builds of the WebAssembly module.
 *
 * @module
 */

import { MODULE } from "./module.ts";
import { MODULE as MODULE_WIDE } from "./module_wide.ts";

/** A build of the module. The wide one needs experimental V8 flags. */
export type Build = "plain" | "wide";

const compiled = new Map<Build, WebAssembly.Module>();

/** Compiles a build once. @throws {WebAssembly.CompileError} If V8 refuses the build. */
export function compile(build: Build): WebAssembly.Module {
  let module = compiled.get(build);
  if (!module) {
    module = new WebAssembly.Module(Uint8Array.fromBase64(build === "wide" ? MODULE_WIDE : MODULE));
    compiled.set(build, module);
  }
  return module;
}
