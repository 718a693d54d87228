/**
 * WebAssembly memory as an arena for system calls: what the kernel writes is where the cipher reads.
 *
 * @module
 */

import { type Arena, machineAddress } from "../../ffi/linux/arena.ts";
import type { Memory } from "../../wasm/mod.ts";

/** The arena over a module's memory. */
export class PacketMemory implements Arena {
  base: number;

  constructor(readonly memory: Memory) {
    this.base = machineAddress(memory.bytes);
    memory.onMove(() => this.base = machineAddress(memory.bytes));
  }

  get bytes(): Uint8Array {
    return this.memory.bytes;
  }

  get view(): DataView {
    return this.memory.view;
  }

  allocate(bytes: number): number {
    return this.memory.allocate(bytes);
  }
}
