/**
 * Which WireGuard runs an interface: the kernel's or wgd's own.
 *
 * @module
 */

import { ValueError } from "./values.ts";

/**
 * What `wgd quick up` makes an interface with: `kernel` is the kernel's WireGuard, `wgd` is a process of wgd's own, and
 * `auto` is the kernel's where the kernel makes one, else wgd's.
 */
export type Backend = "auto" | "kernel" | "wgd";

/** What runs an interface: the kernel, a process of wgd's, or another program's process. */
export type InterfaceBackend = "kernel" | "wgd" | "other";

/** All backends, by the names that `--backend`, `WGD_BACKEND` and `# wgd: Backend = …` take. */
export const BACKENDS: readonly Backend[] = ["auto", "kernel", "wgd"];

/**
 * Reads the name of a backend.
 *
 * @throws {ValueError} If there is none of that name.
 */
export function readBackend(text: string): Backend {
  const backend = BACKENDS.find((name) => name === text.toLowerCase());
  if (backend !== undefined) return backend;
  throw new ValueError(`\`${text}' is not a backend`, `found "${text}", expected auto, kernel or wgd`);
}
