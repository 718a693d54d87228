/**
 * The WireGuard implementation that runs an interface: the kernel's or wgd's own.
 *
 * @module
 */

import { ValueError } from "./values.ts";

/**
 * The backend for `wgd quick up`: `kernel` is the kernel's WireGuard, `wgd` is a wgd process, and `auto` is the
 * kernel's if the kernel has WireGuard, else wgd.
 */
export type Backend = "auto" | "kernel" | "wgd";

/** The implementation that runs an interface: the kernel, a wgd process, or a process of another program. */
export type InterfaceBackend = "kernel" | "wgd" | "other";

/** All backends, by their names in `--backend`, `WGD_BACKEND` and `# wgd: Backend = …`. */
export const BACKENDS: readonly Backend[] = ["auto", "kernel", "wgd"];

/**
 * Reads the name of a backend.
 *
 * @throws {ValueError} If there is no backend with that name.
 */
export function readBackend(text: string): Backend {
  const backend = BACKENDS.find((name) => name === text.toLowerCase());
  if (backend !== undefined) return backend;
  throw new ValueError(`\`${text}' is not a backend`, `found "${text}", expected auto, kernel or wgd`);
}
