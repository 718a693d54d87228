/**
 * Memory that C and JavaScript both see. The engine gives the WebAssembly memory, so that packets go from the kernel
 * to the cipher without a copy; small tools give a plain buffer.
 *
 * @module
 */

/** A stretch of memory with a machine address. Offsets into it stay valid; `base` and the views may be renewed. */
export interface Arena {
  /** Machine address of offset 0. */
  readonly base: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Reserves bytes for good. @returns Their offset, a multiple of 16. */
  allocate(bytes: number): number;
}

/** An arena in a buffer of its own. */
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

/**
 * A place in an arena as C functions take it on the packet path. V8 calls straight into C with such an object. A number
 * for an address (`usize`) it takes as well, but whenever it optimises the caller it expects a BigInt, finds a number, and
 * throws the code away: 410 ns a call instead of 175.
 */
export class Place {
  #base = -1;
  #pointer: Deno.PointerObject | null = null;

  /** @param at Offset from the arena's beginning. */
  constructor(readonly arena: Arena, readonly at: number) {}

  /** Its machine address, made anew when the arena has moved. */
  get pointer(): Deno.PointerObject {
    const { base } = this.arena;
    if (base !== this.#base || this.#pointer === null) {
      this.#pointer = Deno.UnsafePointer.create(BigInt(base + this.at))!;
      this.#base = base;
    }
    return this.#pointer;
  }
}

/** What is laid out in arenas and used again by the next one: an arena gives out memory for good. */
export class Spares<Laid> {
  readonly #given = new WeakMap<Arena, Laid[]>();

  constructor(readonly lay: (arena: Arena) => Laid) {}

  take(arena: Arena): Laid {
    return this.#given.get(arena)?.pop() ?? this.lay(arena);
  }

  giveBack(arena: Arena, laid: Laid): void {
    const given = this.#given.get(arena);
    if (given) given.push(laid);
    else this.#given.set(arena, [laid]);
  }
}

/** Places known at one time by `Places`; packets begin at fewer. */
const MAX_PLACES = 4_096;

/** Places in an arena that are not known beforehand, such as those of received packets. */
export class Places {
  #base = -1;
  readonly #pointers = new Map<number, Deno.PointerObject>();

  constructor(readonly arena: Arena) {}

  /** The machine address of an offset. */
  pointer(at: number): Deno.PointerObject {
    const { base } = this.arena;
    if (base !== this.#base || this.#pointers.size >= MAX_PLACES) {
      this.#pointers.clear();
      this.#base = base;
    }
    let pointer = this.#pointers.get(at);
    if (pointer === undefined) {
      pointer = Deno.UnsafePointer.create(BigInt(base + at))!;
      this.#pointers.set(at, pointer);
    }
    return pointer;
  }
}

/** Where a typed array's bytes are; user-space addresses fit a double exactly. */
export function machineAddress(bytes: Uint8Array<ArrayBuffer>): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}

/** Writes a 64-bit address or size; user space ends below 2^53. */
export function setPointer(view: DataView, at: number, address: number): void {
  view.setUint32(at, address >>> 0, true);
  view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
}
