/**
 * The module's linear memory. It contains packets, keys and the structs of system calls, so that nothing is copied
 * between the kernel and the cipher.
 *
 * @module
 */

/** Offset of bytes in linear memory. */
export type Address = number;

/** Bytes of a page of linear memory. */
const PAGE = 65_536;

/** What the module exports for memory. */
interface Allocator {
  readonly memory: WebAssembly.Memory;
  allocate(length: number, align: number): number;
}

/** Linear memory and its views. The views are replaced when memory grows, so they must not be stored. */
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
   * Reserves zeroed memory permanently.
   *
   * @param align A power of two.
   * @throws {RangeError} If memory cannot grow further.
   */
  allocate(length: number, align = 16): Address {
    const at = this.#allocator.allocate(length, align);
    this.refresh();
    if (at === 0) throw new RangeError(`no memory for ${length} bytes`);
    return at;
  }

  /**
   * Reserves zeroed pages permanently. `allocate` writes zeros, so the system has to provide all of that memory. These
   * pages are zero already, and the system provides each when it is used.
   *
   * @returns A multiple of the size of a page.
   * @throws {RangeError} If memory cannot grow further.
   */
  allocatePages(length: number): Address {
    const at = PAGE * this.#allocator.memory.grow(Math.ceil(length / PAGE));
    this.refresh();
    return at;
  }

  /** Registers a function that is called when the views have been replaced. */
  onMove(callback: () => void): void {
    this.#onMove.push(callback);
  }

  /** Replaces the views if the module has grown its memory. Called after every call that may allocate. */
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
