/**
 * Allowed IPs: the routing table on the way out and the filter on the way in (whitepaper §2). One binary trie per
 * family. Each node is a prefix that has a value or two children, as in the kernel's allowedips.c.
 *
 * The nodes are numbers in one flat array, so that they can be in WASM memory. Each takes 40 bytes.
 *
 * @module
 */

import type { Prefix } from "../config/prefix.ts";

/** An array of 32-bit words that can grow. */
export interface TrieMemory {
  /** The words. After growth this is another array. */
  readonly array: Uint32Array;
  /** Makes `array` at least this long, keeping its contents. New words may hold anything. */
  grow(length: number): void;
  /** Called before words change, for other readers of them. */
  changing?(): void;
}

/** Words on the JavaScript heap. */
export class HeapMemory implements TrieMemory {
  array: Uint32Array = new Uint32Array(64);

  grow(length: number): void {
    if (length <= this.array.length) return;
    const larger = new Uint32Array(Math.max(length, 2 * this.array.length));
    larger.set(this.array);
    this.array = larger;
  }
}

// A node's words: its address in host order, left-aligned, and then these.
const SHAPE = 4;
const CHILD = 5;
const VALUE = 7;
const NEXT = 8;
const PREVIOUS = 9;
const NODE_WORDS = 10;
/** The part of a node's shape that is its prefix length. The family is above it. */
const LENGTH_MASK = 0xff;
const FAMILY_SHIFT = 8;

/** Means no node or no value. Word 0 belongs to no node. */
const NONE = 0;
/**
 * The words that say where each family's trie begins. They belong to no node, so that a reader of the words finds all
 * nodes.
 */
const ROOT4 = 4;
const ROOT6 = 6;

/** Maps prefixes to small positive numbers, longest match first. */
export class AllowedIps {
  readonly #words: TrieMemory;
  /** The place of the next node, if no freed one is left. */
  #fresh = NODE_WORDS;
  /** Freed nodes, linked through their first child. */
  #free = NONE;
  #size = 0;
  /**
   * First and last node of a value, at twice its number. They link its prefixes in the order in which they were
   * inserted.
   */
  #lists = new Uint32Array(16);
  /** The address that is being looked up or inserted, as a node holds it. */
  readonly #key = new Uint32Array(4);

  constructor(words: TrieMemory = new HeapMemory()) {
    this.#words = words;
    words.grow(NODE_WORDS);
    words.array[ROOT4] = words.array[ROOT6] = NONE;
  }

  /** Nodes in use, including those without a value. */
  get nodeCount(): number {
    return this.#size;
  }

  /**
   * Assigns a prefix to a value. If another value had it, that one loses it. It becomes the last in the value's list.
   */
  insert(prefix: Prefix, value: number): void {
    this.#words.changing?.();
    const { family, length } = prefix;
    this.#setKey(prefix.address);
    let parent = NONE;
    let node = this.#root(family);
    let shared = 0;
    while (node !== NONE) {
      shared = this.#sharedBits(node);
      const nodeLength = this.#length(node);
      if (nodeLength > length || shared < nodeLength) break;
      if (nodeLength === length) {
        this.#unlist(node);
        this.#list(node, value);
        return;
      }
      parent = node;
      node = this.#words.array[node + CHILD + this.#keyBit(nodeLength)]!;
    }

    const added = this.#allocate(family, length);
    this.#list(added, value);
    if (node === NONE) {
      this.#connect(family, parent, added);
    } else if (shared >= length) {
      // The existing node lies within the new prefix.
      this.#words.array[added + CHILD + this.#nodeBit(node, length)] = node;
      this.#connect(family, parent, added);
    } else {
      // The prefixes differ before either ends: a node without a value becomes the parent of both.
      const fork = this.#allocate(family, shared);
      this.#words.array[fork + CHILD + this.#keyBit(shared)] = added;
      this.#words.array[fork + CHILD + this.#nodeBit(node, shared)] = node;
      this.#connect(family, parent, fork);
    }
  }

  /** Removes a prefix from a value, if the value has exactly this prefix. */
  remove(prefix: Prefix, value: number): void {
    this.#words.changing?.();
    const { family, length } = prefix;
    this.#setKey(prefix.address);
    let node = this.#root(family);
    while (node !== NONE && this.#length(node) < length && this.#sharedBits(node) >= this.#length(node)) {
      node = this.#words.array[node + CHILD + this.#keyBit(this.#length(node))]!;
    }
    if (node === NONE || this.#length(node) !== length || this.#sharedBits(node) < length) return;
    if (this.#words.array[node + VALUE] !== value) return;
    this.#unlist(node);
    this.#prune(node);
  }

  /** Removes all prefixes from a value. */
  removeAll(value: number): void {
    this.#words.changing?.();
    for (let node = this.#first(value); node !== NONE; node = this.#first(value)) {
      this.#unlist(node);
      this.#prune(node);
    }
  }

  /** The prefixes of a value in the order they were inserted. */
  *list(value: number): Iterable<Prefix> {
    for (let node = this.#first(value); node !== NONE; node = this.#words.array[node + NEXT]!) {
      yield this.#prefix(node);
    }
  }

  /** The value of the longest prefix that contains the IPv4 address at `at`; 0 if there is none. */
  lookup4(bytes: Uint8Array, at: number): number {
    const { array } = this.#words;
    const key = wordAt(bytes, at);
    let node = array[ROOT4]!;
    let found = NONE;
    while (node !== NONE) {
      const length = array[node + SHAPE]! & LENGTH_MASK;
      if (Math.clz32(key ^ array[node]!) < length) break;
      found = array[node + VALUE]! || found;
      if (length === 32) break;
      node = array[node + CHILD + (key >>> (31 - length) & 1)]!;
    }
    return found;
  }

  /** The value of the longest prefix that contains the IPv6 address at `at`; 0 if there is none. */
  lookup6(bytes: Uint8Array, at: number): number {
    for (let i = 0; i < 4; i++) this.#key[i] = wordAt(bytes, at + 4 * i);
    const { array } = this.#words;
    let node = array[ROOT6]!;
    let found = NONE;
    while (node !== NONE) {
      const length = array[node + SHAPE]! & LENGTH_MASK;
      if (this.#sharedBits(node) < length) break;
      found = array[node + VALUE]! || found;
      if (length === 128) break;
      node = array[node + CHILD + this.#keyBit(length)]!;
    }
    return found;
  }

  /**
   * Removes a node without a value, unless it has two children. Then removes its parent, if that has no value and one
   * child.
   */
  #prune(node: number): void {
    const { array } = this.#words;
    if (array[node + CHILD] !== NONE && array[node + CHILD + 1] !== NONE) return;
    for (let i = 0; i < 4; i++) this.#key[i] = array[node + i]!;
    const family = array[node + SHAPE]! >>> FAMILY_SHIFT;
    let above = NONE;
    let parent = NONE;
    for (let at = this.#root(family); at !== node;) {
      above = parent;
      parent = at;
      at = array[at + CHILD + this.#keyBit(this.#length(at))]!;
    }
    const child = array[node + CHILD]! || array[node + CHILD + 1]!;
    if (child === NONE && parent !== NONE && array[parent + VALUE] === NONE) {
      const sibling = array[parent + CHILD + 1 - this.#keyBit(this.#length(parent))]!;
      this.#replace(family, above, parent, sibling);
      this.#release(parent);
    } else {
      this.#replace(family, parent, node, child);
    }
    this.#release(node);
  }

  /** Links a node to its parent, on the side that the address selects. */
  #connect(family: number, parent: number, node: number): void {
    if (parent !== NONE) this.#words.array[parent + CHILD + this.#keyBit(this.#length(parent))] = node;
    else this.#words.array[family === 4 ? ROOT4 : ROOT6] = node;
  }

  #replace(family: number, parent: number, old: number, node: number): void {
    if (parent === NONE) this.#connect(family, NONE, node);
    else {
      const { array } = this.#words;
      array[parent + CHILD + (array[parent + CHILD] === old ? 0 : 1)] = node;
    }
  }

  /** Makes a node for the first `length` bits of the address, without children and value. */
  #allocate(family: number, length: number): number {
    let node = this.#free;
    if (node !== NONE) {
      this.#free = this.#words.array[node + CHILD]!;
    } else {
      node = this.#fresh;
      this.#fresh += NODE_WORDS;
      this.#words.grow(this.#fresh);
    }
    const { array } = this.#words;
    array.fill(NONE, node, node + NODE_WORDS);
    for (let i = 0; i < 4; i++) array[node + i] = this.#key[i]! & mask(length - 32 * i);
    array[node + SHAPE] = length | family << FAMILY_SHIFT;
    this.#size++;
    return node;
  }

  #release(node: number): void {
    this.#words.array[node + CHILD] = this.#free;
    this.#free = node;
    this.#size--;
  }

  /** Gives a node a value and the last place in its list. */
  #list(node: number, value: number): void {
    if (2 * value + 1 >= this.#lists.length) {
      const larger = new Uint32Array(Math.max(2 * value + 2, 2 * this.#lists.length));
      larger.set(this.#lists);
      this.#lists = larger;
    }
    const { array } = this.#words;
    const last = this.#lists[2 * value + 1]!;
    array[node + VALUE] = value;
    array[node + NEXT] = NONE;
    array[node + PREVIOUS] = last;
    if (last === NONE) this.#lists[2 * value] = node;
    else array[last + NEXT] = node;
    this.#lists[2 * value + 1] = node;
  }

  /** Removes a node's value and its place in the value's list, if it has one. */
  #unlist(node: number): void {
    const { array } = this.#words;
    const value = array[node + VALUE]!;
    if (value === NONE) return;
    const next = array[node + NEXT]!, previous = array[node + PREVIOUS]!;
    if (previous === NONE) this.#lists[2 * value] = next;
    else array[previous + NEXT] = next;
    if (next === NONE) this.#lists[2 * value + 1] = previous;
    else array[next + PREVIOUS] = previous;
    array[node + VALUE] = NONE;
  }

  #first(value: number): number {
    return 2 * value < this.#lists.length ? this.#lists[2 * value]! : NONE;
  }

  #prefix(node: number): Prefix {
    const { array } = this.#words;
    const family = array[node + SHAPE]! >>> FAMILY_SHIFT === 4 ? 4 : 6;
    const address = new Uint8Array(family === 4 ? 4 : 16);
    const view = new DataView(address.buffer);
    for (let i = 0; i < address.length; i += 4) view.setUint32(i, array[node + i / 4]!);
    return { family, address, length: this.#length(node) };
  }

  #setKey(address: Uint8Array): void {
    for (let i = 0; i < 4; i++) this.#key[i] = 4 * i < address.length ? wordAt(address, 4 * i) : 0;
  }

  #root(family: number): number {
    return this.#words.array[family === 4 ? ROOT4 : ROOT6]!;
  }

  #length(node: number): number {
    return this.#words.array[node + SHAPE]! & LENGTH_MASK;
  }

  /** The number of leading bits that a node's address shares with the address; 128 if all are equal. */
  #sharedBits(node: number): number {
    const { array } = this.#words;
    for (let i = 0; i < 4; i++) {
      const difference = array[node + i]! ^ this.#key[i]!;
      if (difference !== 0) return 32 * i + Math.clz32(difference);
    }
    return 128;
  }

  #keyBit(at: number): number {
    return this.#key[at >>> 5]! >>> (31 - (at & 31)) & 1;
  }

  #nodeBit(node: number, at: number): number {
    return this.#words.array[node + (at >>> 5)]! >>> (31 - (at & 31)) & 1;
  }
}

/** A word of `length` leading ones. Below 0 counts as 0, above 32 as 32. */
function mask(length: number): number {
  if (length <= 0) return 0;
  return length >= 32 ? 0xffffffff : ~(0xffffffff >>> length);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
}
