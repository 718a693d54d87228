/**
 * The table of the indices in messages (whitepaper §5.4). Handshakes and keypairs share it, so that an index has one
 * meaning.
 *
 * @module
 */

import type { Random } from "./crypto.ts";

/**
 * Indices and what they identify. Indices are random and not sequential, because an observer sees them and must not
 * learn from them how many peers or rekeys there are.
 *
 * @typeParam Session What has an index: a handshake or a keypair.
 */
export class IndexTable<Session> {
  readonly #sessions = new Map<number, Session>();
  readonly #random: Random;
  readonly #word = new Uint32Array(1);
  readonly #bytes = new Uint8Array(this.#word.buffer);

  constructor(random: Random) {
    this.#random = random;
  }

  /** Indices in use. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Adds a session under a new index. @returns The index. */
  add(session: Session): number {
    do this.#random(this.#bytes); while (this.#sessions.has(this.#word[0]!));
    this.#sessions.set(this.#word[0]!, session);
    return this.#word[0]!;
  }

  /** Gives an index to another session: a keypair inherits the index of its handshake. */
  replace(index: number, session: Session): void {
    this.#sessions.set(index, session);
  }

  /** Frees an index, if it still belongs to this session. */
  remove(index: number, session: Session): void {
    if (this.#sessions.get(index) === session) this.#sessions.delete(index);
  }

  /** The session with an index. */
  get(index: number): Session | undefined {
    return this.#sessions.get(index);
  }
}
