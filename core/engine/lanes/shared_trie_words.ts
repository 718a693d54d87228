/**
 * The words of the allowed IPs, in memory that lanes can read.
 *
 * @module
 */

import { HeapMemory } from "../../protocol/allowed_ips.ts";
import type { Lanes } from "./lanes.ts";

/** Words on the heap, whose address lanes know. They change only while no lane has a job. */
export class SharedTrieWords extends HeapMemory {
  constructor(readonly lanes: Lanes) {
    super();
    lanes.threads.publish(this.array);
  }

  override grow(length: number): void {
    const before = this.array;
    super.grow(length);
    if (this.array !== before) this.lanes.threads.publish(this.array);
  }

  /** Waits until lanes have finished all jobs that use the current words. */
  changing(): void {
    this.lanes.rest();
  }
}
