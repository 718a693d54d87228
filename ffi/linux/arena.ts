/**
 * Memory that both C and JavaScript can use. The engine uses WebAssembly memory, so that packets reach the cipher
 * without a copy. Small tools use a plain buffer.
 *
 * @module
 */

/** A block of memory with a machine address. Offsets into it stay valid, but `base` and the views may change. */
export interface Arena {
  /** Machine address of offset 0. */
  readonly base: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Reserves bytes permanently. @returns Their offset, a multiple of 16. */
  allocate(bytes: number): number;
}

/** An arena in its own buffer. */
export class BufferArena implements Arena {
  readonly base: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  #used = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.base = machineAddress(this.bytes);
  }

  allocate(bytes: number): number {
    const at = this.#used;
    this.#used = (at + bytes + 15) & ~15;
    if (this.#used > this.bytes.length) {
      throw new RangeError(`the arena of ${this.bytes.length} bytes is full`);
    }
    return at;
  }
}

/** Memory that may move when it grows, such as WebAssembly's. */
export interface MovingMemory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  allocate(bytes: number): number;
  /** Registers a function that is called when the memory has moved. */
  onMove(callback: () => void): void;
}

/** An arena in memory that may move. The cipher reads what the kernel writes, without a copy. */
export class MovingArena implements Arena {
  base: number;

  constructor(readonly memory: MovingMemory) {
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

/**
 * A pointer into an arena for C functions on the packet path. With such an object V8 calls C directly. V8 also accepts
 * a number as an address (`usize`). But its optimised code expects a BigInt, finds a number, and is discarded, so a
 * call takes 410 ns instead of 175.
 */
export class ArenaPointer {
  #base = -1;
  #value: Deno.PointerObject | null = null;

  /** @param at Offset from the arena's beginning. */
  constructor(readonly arena: Arena, readonly at: number) {}

  /** The pointer. It changes when the arena has moved. */
  get value(): Deno.PointerObject {
    const { base } = this.arena;
    if (base !== this.#base || this.#value === null) {
      this.#value = Deno.UnsafePointer.create(BigInt(base + this.at))!;
      this.#base = base;
    }
    return this.#value;
  }
}

/** The maximum number of cached pointers. Packets begin at fewer addresses. */
const MAX_POINTERS = 4_096;

/** A cache of pointers into an arena, for offsets that are not known in advance, such as those of received packets. */
export class PointerCache {
  #base = -1;
  readonly #pointers = new Map<number, Deno.PointerObject>();

  constructor(readonly arena: Pick<Arena, "base">) {}

  /** The pointer to an offset. */
  at(offset: number): Deno.PointerObject {
    const { base } = this.arena;
    if (base !== this.#base || this.#pointers.size >= MAX_POINTERS) {
      this.#pointers.clear();
      this.#base = base;
    }
    let pointer = this.#pointers.get(offset);
    if (pointer === undefined) {
      pointer = Deno.UnsafePointer.create(BigInt(base + offset))!;
      this.#pointers.set(offset, pointer);
    }
    return pointer;
  }
}

/** Structures in arenas that are reused. An arena itself never frees memory. */
export class FreeList<Structure> {
  readonly #free = new WeakMap<Arena, Structure[]>();

  constructor(readonly make: (arena: Arena) => Structure) {}

  /** Returns a free one or a new one. */
  take(arena: Arena): Structure {
    return this.#free.get(arena)?.pop() ?? this.make(arena);
  }

  giveBack(arena: Arena, structure: Structure): void {
    const free = this.#free.get(arena);
    if (free) free.push(structure);
    else this.#free.set(arena, [structure]);
  }
}

/** The address of a typed array's bytes. A double can represent every user-space address exactly. */
export function machineAddress(bytes: Uint8Array<ArrayBuffer>): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}

/** A view of this process's memory at an address. It must not be used after the memory was freed. */
export function memoryAt(address: number, length: number): ArrayBuffer {
  return Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(address))!, length);
}

/** Writes a 64-bit address or size. User space ends below 2^53. */
export function setPointer(view: DataView, at: number, address: number): void {
  view.setUint32(at, address >>> 0, true);
  view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
}
