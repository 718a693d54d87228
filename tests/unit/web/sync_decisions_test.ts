/**
 * What follows from what a directory says.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  decideSync,
  type DirectoryAnswer,
  type FoundPerson,
  type KnownPerson,
  type SyncAction,
} from "../../../core/web/sign_in/sync_decisions.ts";

function known(count: number, more: Partial<KnownPerson> = {}): KnownPerson[] {
  return Array.from({ length: count }, (_, i) => ({
    user: `user ${i}`,
    subject: `subject ${i}`,
    disabled: null,
    groups: ["staff"],
    ...more,
  }));
}

function found(more: Partial<FoundPerson> = {}): FoundPerson {
  return { disabled: null, groups: ["staff"], ...more };
}

/** An answer that has all but some of the people. */
function answer(
  people: readonly KnownPerson[],
  without: number,
  more: Partial<FoundPerson> = {},
): DirectoryAnswer {
  return {
    found: new Map(people.slice(without).map(({ subject }) => [subject, found(more)])),
    hasPeople: true,
  };
}

function actions(people: readonly KnownPerson[], said: DirectoryAnswer, confirmed?: boolean): SyncAction[] {
  const decision = decideSync(people, said, confirmed);
  ok(decision.kind === "apply", JSON.stringify(decision));
  return [...decision.actions];
}

Deno.test("decideSync(): a user who is missing or disabled in the directory is disabled", () => {
  const people = known(3);
  deepEqual(actions(people, answer(people, 1)), [
    { kind: "disable", user: "user 0", reason: "no longer in the directory" },
  ]);
  const said = answer(people, 0);
  (said.found as Map<string, FoundPerson>).set("subject 1", found({ disabled: "locked" }));
  deepEqual(actions(people, said), [{ kind: "disable", user: "user 1", reason: "locked" }]);
});

Deno.test("decideSync(): the only known user may be missing, if the directory returns others", () => {
  const people = known(1);
  equal(actions(people, { found: new Map(), hasPeople: true }).length, 1);
  equal(decideSync(people, { found: new Map(), hasPeople: false }).kind, "hold");
});

Deno.test("decideSync(): a user who is back in the directory is enabled, unless an administrator disabled them", () => {
  const gone = known(1, { disabled: "directory" });
  deepEqual(actions(gone, answer(gone, 0)), [{ kind: "enable", user: "user 0" }]);
  const disabled = known(1, { disabled: "administrator" });
  deepEqual(actions(disabled, answer(disabled, 0)), []);
  deepEqual(actions(disabled, answer(disabled, 1)), []);
});

Deno.test("decideSync(): groups follow the directory, also of a disabled user", () => {
  const people = known(2);
  deepEqual(actions(people, answer(people, 0, { groups: [] })), [
    { kind: "groups", user: "user 0", groups: [] },
    { kind: "groups", user: "user 1", groups: [] },
  ]);
  const back = known(1, { disabled: "directory", groups: [] });
  deepEqual(actions(back, answer(back, 0)), [
    { kind: "groups", user: "user 0", groups: ["staff"] },
    { kind: "enable", user: "user 0" },
  ]);
});

Deno.test("decideSync(): an answer that would cut most people is held until it is confirmed", () => {
  const people = known(1_200);
  for (
    const said of [
      answer(people, 1_200),
      answer(people, 601),
      answer(people, 0, { disabled: "locked" }),
      answer(people, 0, { groups: [] }),
    ]
  ) {
    const decision = decideSync(people, said);
    ok(decision.kind === "hold" && decision.known === 1_200 && decision.cut > 600 && decision.confirmable);
    ok(actions(people, said, true).length > 600);
  }
  equal(actions(people, answer(people, 600)).length, 600);
  equal(actions(known(5), answer(known(5), 5)).length, 5);
  equal(decideSync(known(6), answer(known(6), 6)).kind, "hold");
});

Deno.test("decideSync(): the answer of an empty directory is held even if it is confirmed", () => {
  for (const confirmed of [false, true]) {
    const decision = decideSync(known(3), { found: new Map(), hasPeople: false }, confirmed);
    ok(decision.kind === "hold" && !decision.confirmable);
  }
  equal(decideSync([], { found: new Map(), hasPeople: false }).kind, "apply");
});

Deno.test("decideSync(): after its actions, a second comparison changes nothing", () => {
  const person = fc.record({
    disabled: fc.constantFrom(null, "directory", "administrator"),
    groups: fc.uniqueArray(fc.constantFrom("a", "b", "c")),
    there: fc.option(fc.record({
      disabled: fc.constantFrom(null, "locked"),
      groups: fc.uniqueArray(fc.constantFrom("a", "b", "c")),
    })),
  });
  fc.assert(
    fc.property(fc.array(person, { maxLength: 30 }), (cases) => {
      const people = cases.map(({ disabled, groups }, i): KnownPerson => ({
        user: `${i}`,
        subject: `s${i}`,
        disabled: disabled as KnownPerson["disabled"],
        groups,
      }));
      const said: DirectoryAnswer = {
        found: new Map(cases.flatMap(({ there }, i) => there ? [[`s${i}`, found(there)]] : [])),
        hasPeople: true,
      };
      const after = new Map(people.map((person) => [person.user, { ...person }]));
      for (const action of actions(people, said, true)) {
        const person = after.get(action.user)!;
        if (action.kind === "disable") Object.assign(person, { disabled: "directory" });
        if (action.kind === "enable") Object.assign(person, { disabled: null });
        if (action.kind === "groups") Object.assign(person, { groups: action.groups });
      }
      deepEqual(actions([...after.values()], said, true), []);
      for (const [i, { there, disabled }] of cases.entries()) {
        const gone = there === null || there.disabled !== null;
        const now = after.get(`${i}`)!.disabled;
        equal(now !== null, gone || disabled === "administrator");
        if (disabled === "administrator") equal(now, "administrator");
      }
    }),
  );
});
