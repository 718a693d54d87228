/**
 * Counts what is in progress for the clients of each network, so that one network cannot take everything.
 *
 * @module
 */

/** Counts by network: an IPv4 address or a /64 of IPv6 (`networkOf`). */
export class NetworkCounts {
  #total = 0;
  readonly #counts = new Map<string, number>();

  /** The count of all networks together. */
  get total(): number {
    return this.#total;
  }

  /** The count of a network. */
  of(network: string): number {
    return this.#counts.get(network) ?? 0;
  }

  /** Something begins. */
  add(network: string): void {
    this.#total++;
    this.#counts.set(network, this.of(network) + 1);
  }

  /** Something that was added has ended. */
  remove(network: string): void {
    this.#total--;
    const count = this.of(network) - 1;
    if (count === 0) this.#counts.delete(network);
    else this.#counts.set(network, count);
  }
}
