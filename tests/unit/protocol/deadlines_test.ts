import { equal } from "node:assert/strict";
import fc from "fast-check";
import { Deadlines } from "../../../core/protocol/deadlines.ts";

Deno.test("Deadlines.schedule() moves an id forward and never back", () => {
  const deadlines = new Deadlines();
  deadlines.schedule(3, 100);
  deadlines.schedule(3, 200);
  equal(deadlines.next, 100);
  deadlines.schedule(3, 50);
  equal(deadlines.next, 50);
  equal(deadlines.size, 1);
});

Deno.test("Deadlines.pop() returns an id at its deadline and not before", () => {
  const deadlines = new Deadlines();
  deadlines.schedule(1, 100);
  equal(deadlines.pop(99), -1);
  equal(deadlines.pop(100), 1);
  equal(deadlines.pop(1_000), -1);
  equal(deadlines.next, Infinity);
});

/** The same with a list that is searched. */
class NaiveDeadlines {
  entries = new Map<number, number>();

  schedule(id: number, at: number) {
    this.entries.set(id, Math.min(at, this.entries.get(id) ?? Infinity));
  }

  get next() {
    return Math.min(Infinity, ...this.entries.values());
  }
}

Deno.test("Deadlines agrees with a naive list", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("schedule" as const), id: fc.nat(40), at: fc.nat(1_000) }),
    fc.record({ do: fc.constant("remove" as const), id: fc.nat(40), at: fc.constant(0) }),
    fc.record({ do: fc.constant("pop" as const), id: fc.constant(0), at: fc.nat(1_000) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const fast = new Deadlines(), naive = new NaiveDeadlines();
    for (const { do: what, id, at } of steps) {
      if (what === "schedule") {
        fast.schedule(id, at);
        naive.schedule(id, at);
      } else if (what === "remove") {
        fast.remove(id);
        naive.entries.delete(id);
      } else {
        const { next } = naive;
        const popped = fast.pop(at);
        equal(popped >= 0, next <= at);
        // Among equals any may come first.
        if (popped >= 0) equal(naive.entries.get(popped), next);
        naive.entries.delete(popped);
      }
      equal(fast.next, naive.next);
      equal(fast.size, naive.entries.size);
    }
  }));
});
