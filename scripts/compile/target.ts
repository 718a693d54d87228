/**
 * The machines that wgd is built for.
 *
 * @module
 */

/** One of them. */
export interface Target {
  /** Its name for `rustc` and `deno compile --target`. */
  readonly triple: string;
  /** Its name in `Deno.build.arch` and `uname -m`. */
  readonly arch: "x86_64" | "aarch64";
  /** The npm package with Deno for it. */
  readonly package: string;
  /** `e_machine` of its programs (elf.h). */
  readonly elfMachine: number;
}

/** All of them. */
export const TARGETS: readonly Target[] = [
  {
    triple: "x86_64-unknown-linux-gnu",
    arch: "x86_64",
    package: "@deno/linux-x64-glibc",
    elfMachine: 62,
  },
  {
    triple: "aarch64-unknown-linux-gnu",
    arch: "aarch64",
    package: "@deno/linux-arm64-glibc",
    elfMachine: 183,
  },
];

/** Whether programs for it run here without an emulator. */
export function isThisMachine({ triple }: Target): boolean {
  return triple === Deno.build.target;
}

/** The name of its executable. For another machine it contains the machine. */
export function fileName(target: Target): string {
  return isThisMachine(target) ? "wgd" : `wgd-${target.arch}`;
}
