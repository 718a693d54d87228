/**
 * Replaces the program of this process, so that a service manager still watches the same process.
 *
 * @module
 */

import { cString } from "./libc.ts";

const SYMBOLS = {
  execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
} as const;

/**
 * Replaces this process by another program (execve(2)). All of its threads end, and Deno's descriptors are closed.
 * @returns Only if the program cannot be run.
 */
export function replaceProcess(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): void {
  const { execve } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  execve(cString(command), pointers([command, ...args]), pointers(variables));
}

/** A null-terminated list of texts. The texts are in the same buffer as the list, so they live as long as the list. */
function pointers(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const strings = texts.map(cString);
  const table = 8 * (strings.length + 1);
  const block = new Uint8Array(strings.reduce((sum, { length }) => sum + length, table));
  const start = Deno.UnsafePointer.value(Deno.UnsafePointer.of(block));
  const view = new DataView(block.buffer);
  let end = table;
  for (const [i, string] of strings.entries()) {
    view.setBigUint64(8 * i, BigInt(start) + BigInt(end), true);
    block.set(string, end);
    end += string.length;
  }
  return block;
}
