/**
 * What waits for the same event.
 *
 * @module
 */

/** Something that waits. */
export interface Waiter {
  wake(): void;
}

/** Everything that waits for the same event. Usually it is one or nothing, which takes no array. */
export class Waiters {
  #first: Waiter | undefined;
  #others: Waiter[] | undefined;

  /** Wakes it at the next event, once. */
  add(waiter: Waiter): void {
    if (this.#first === undefined) this.#first = waiter;
    else (this.#others ??= []).push(waiter);
  }

  wait(): Promise<void> {
    return new Promise((wake) => this.add({ wake }));
  }

  wake(): void {
    const [first, others] = [this.#first, this.#others];
    this.#first = this.#others = undefined;
    first?.wake();
    others?.forEach((waiter) => waiter.wake());
  }
}
