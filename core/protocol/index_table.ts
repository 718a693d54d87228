/**
 * The table behind the index in every message: one for handshakes and keypairs together, so that an index means one
 * thing (whitepaper §5.4).
 *
 * @module
 */

import type { Random } from "./crypto.ts";

/**
 * Indices to entries. Indices are random and never in sequence: they are all that an observer sees of which datagrams
 * belong together, and must not tell how many peers or rekeys there are.
 */
export class IndexTable<Entry> {
  readonly #entries = new Map<number, Entry>();
  readonly #random: Random;
  readonly #word = new Uint32Array(1);
  readonly #bytes = new Uint8Array(this.#word.buffer);

  constructor(random: Random) {
    this.#random = random;
  }

  /** Indices in use. */
  get size(): number {
    return this.#entries.size;
  }

  /** Enters under a fresh index. @returns The index. */
  add(entry: Entry): number {
    do this.#random(this.#bytes); while (this.#entries.has(this.#word[0]!));
    this.#entries.set(this.#word[0]!, entry);
    return this.#word[0]!;
  }

  /** Gives an index to another entry: a keypair inherits that of its handshake. */
  replace(index: number, entry: Entry): void {
    this.#entries.set(index, entry);
  }

  /** Frees an index, if it still belongs to this entry. */
  remove(index: number, entry: Entry): void {
    if (this.#entries.get(index) === entry) this.#entries.delete(index);
  }

  /** What an index stands for. */
  get(index: number): Entry | undefined {
    return this.#entries.get(index);
  }
}
