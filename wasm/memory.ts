/**
 * The module's linear memory: packets, keys and the structs of system calls live in it, so that nothing is copied on the
 * way from the kernel to the cipher and back.
 *
 * @module
 */

/** Offset of bytes in linear memory. */
export type Address = number;

/** What the module exports for memory. */
interface Allocator {
  readonly memory: WebAssembly.Memory;
  allocate(length: number, align: number): number;
}

/** Linear memory and its views. The views are replaced when memory grows, so nobody keeps them. */
export class Memory {
  bytes!: Uint8Array<ArrayBuffer>;
  words!: Uint32Array<ArrayBuffer>;
  view!: DataView<ArrayBuffer>;
  readonly #allocator: Allocator;
  #onMove: (() => void)[] = [];

  constructor(allocator: Allocator) {
    this.#allocator = allocator;
    this.#renew();
  }

  /**
   * Reserves zeroed memory for good.
   *
   * @param align A power of two.
   * @throws {RangeError} If memory cannot grow any more.
   */
  allocate(length: number, align = 16): Address {
    const at = this.#allocator.allocate(length, align);
    this.refresh();
    if (at === 0) throw new RangeError(`no memory for ${length} bytes`);
    return at;
  }

  /** Calls back when the views have been replaced. */
  onMove(callback: () => void): void {
    this.#onMove.push(callback);
  }

  /** Replaces the views if the module has grown its memory. Called after whatever may allocate. */
  refresh(): void {
    if (this.bytes.buffer === this.#allocator.memory.buffer) return;
    this.#renew();
    for (const callback of this.#onMove) callback();
  }

  #renew(): void {
    const buffer = this.#allocator.memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.view = new DataView(buffer);
  }
}
