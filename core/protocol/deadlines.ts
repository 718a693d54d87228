/**
 * A heap of deadlines.
 *
 * @module
 */

/** Not in the heap. */
const ABSENT = 0;

/**
 * A binary heap with one deadline per id. An entry may be early, but never late. If a deadline is postponed or
 * cancelled, the heap does not change, and the owner notices this when the entry is removed. This happens for each
 * packet, so it must cost no more than a store in the owner.
 */
export class Deadlines {
  /** The heap, beginning at index 1. */
  #ids = new Uint32Array(16);
  #times = new Float64Array(16);
  #size = 0;
  /** Index in the heap by id. */
  #places = new Uint32Array(16);

  /** Ids in the heap. */
  get size(): number {
    return this.#size;
  }

  /** The earliest deadline in milliseconds; Infinity if there is none. */
  get next(): number {
    return this.#size === 0 ? Infinity : this.#times[1]!;
  }

  /** Makes sure that `id` is removed from the heap at `at` or earlier. */
  schedule(id: number, at: number): void {
    if (id >= this.#places.length) this.#places = grown(this.#places, id + 1);
    let place = this.#places[id]!;
    if (place === ABSENT) {
      place = ++this.#size;
      if (place >= this.#ids.length) {
        this.#ids = grown(this.#ids, place + 1);
        this.#times = grown(this.#times, place + 1);
      }
    } else if (this.#times[place]! <= at) {
      return;
    }
    this.#up(place, id, at);
  }

  /** Removes an id, if it is there. */
  remove(id: number): void {
    const place = id < this.#places.length ? this.#places[id]! : ABSENT;
    if (place === ABSENT) return;
    this.#places[id] = ABSENT;
    const last = this.#size--;
    if (place === last) return;
    const moved = this.#ids[last]!, at = this.#times[last]!;
    if (at < this.#times[place]!) this.#up(place, moved, at);
    else this.#down(place, moved, at);
  }

  /** Removes the earliest if it is due. @returns Its id, or -1. */
  pop(now: number): number {
    if (this.#size === 0 || this.#times[1]! > now) return -1;
    const id = this.#ids[1]!;
    this.remove(id);
    return id;
  }

  #up(place: number, id: number, at: number): void {
    while (place > 1) {
      const parent = place >> 1;
      if (this.#times[parent]! <= at) break;
      this.#put(place, this.#ids[parent]!, this.#times[parent]!);
      place = parent;
    }
    this.#put(place, id, at);
  }

  #down(place: number, id: number, at: number): void {
    for (;;) {
      let child = 2 * place;
      if (child > this.#size) break;
      if (child < this.#size && this.#times[child + 1]! < this.#times[child]!) child++;
      if (this.#times[child]! >= at) break;
      this.#put(place, this.#ids[child]!, this.#times[child]!);
      place = child;
    }
    this.#put(place, id, at);
  }

  #put(place: number, id: number, at: number): void {
    this.#ids[place] = id;
    this.#times[place] = at;
    this.#places[id] = place;
  }
}

function grown<A extends Uint32Array | Float64Array>(array: A, length: number): A {
  const larger = new (array.constructor as new (length: number) => A)(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}
