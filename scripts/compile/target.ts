/**
 * The machines that wgd is built for.
 *
 * @module
 */

/** One of them. */
export interface Target {
  /** As `rustc` and `deno compile --target` name it. */
  readonly triple: string;
  /** As `Deno.build.arch` and `uname -m` name it. */
  readonly arch: "x86_64" | "aarch64";
  /** The npm package that holds Deno for it. */
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

/** What its executable is called: another machine's has the machine in its name. */
export function fileName(target: Target): string {
  return isThisMachine(target) ? "wgd" : `wgd-${target.arch}`;
}
