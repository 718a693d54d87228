/**
 * Decides what to change after a directory's response about known people. This file does no I/O.
 *
 * @module
 */

import type { DisabledBy } from "../store/identities.ts";

/** A person in the store. */
export interface KnownPerson {
  readonly user: string;
  /** The person's identifier in the directory. */
  readonly subject: string;
  /** Who disabled the user; null if the user is not disabled. */
  readonly disabled: DisabledBy | null;
  /** Ids of the groups of this server that they are in because of the directory. */
  readonly groups: readonly string[];
}

/** A person in the directory. */
export interface FoundPerson {
  /** Why the directory has disabled the account; null if it has not. */
  readonly disabled: string | null;
  /** Ids of the groups of this server that stand for the directory's groups. */
  readonly groups: readonly string[];
}

/** The answer of a directory. */
export interface DirectoryAnswer {
  /** The requested people, by subject. */
  readonly found: ReadonlyMap<string, FoundPerson>;
  /** Whether the directory shows anybody. */
  readonly hasPeople: boolean;
}

/** One change. */
export type SyncAction =
  | { readonly kind: "disable"; readonly user: string; readonly reason: string }
  | { readonly kind: "enable"; readonly user: string }
  | { readonly kind: "groups"; readonly user: string; readonly groups: readonly string[] };

/** The changes, or why nothing is changed. */
export type SyncDecision =
  | { readonly kind: "apply"; readonly actions: readonly SyncAction[] }
  | {
    readonly kind: "hold";
    readonly cut: number;
    readonly known: number;
    /** Whether an administrator can confirm it. */
    readonly confirmable: boolean;
  };

/** Up to this many people are cut at once without a confirmation. */
const ALWAYS = 5;

/**
 * Decides what to change.
 *
 * An answer by which more than half of the people (and more than five) would lose access at once probably means that
 * the directory hides them (rights of the searching account, a wrong base, a restored copy). It is held until an
 * administrator confirms it. An answer without anybody is always held.
 *
 * @param known All people of the provider.
 * @param confirmed Whether an administrator has confirmed this number.
 */
export function decideSync(
  known: readonly KnownPerson[],
  answer: DirectoryAnswer,
  confirmed = false,
): SyncDecision {
  const active = known.filter(({ disabled }) => disabled === null);
  if (known.length > 0 && !answer.hasPeople) {
    return {
      kind: "hold",
      cut: active.length,
      known: known.length,
      confirmable: false,
    };
  }
  const cut = active.filter((person) => losesAccess(person, answer.found.get(person.subject))).length;
  if (!confirmed && cut > ALWAYS && cut * 2 > active.length) {
    return {
      kind: "hold",
      cut,
      known: known.length,
      confirmable: true,
    };
  }
  return {
    kind: "apply",
    actions: known.flatMap((person) => actionsFor(person, answer.found.get(person.subject))),
  };
}

function losesAccess({ groups }: KnownPerson, found: FoundPerson | undefined): boolean {
  if (!found || found.disabled !== null) return true;
  return groups.length > 0 && found.groups.length === 0;
}

function actionsFor(person: KnownPerson, found: FoundPerson | undefined): SyncAction[] {
  const { user, disabled } = person;
  const reason = found ? found.disabled : "no longer in the directory";
  if (reason !== null) return disabled === null ? [{ kind: "disable", user, reason }] : [];
  const actions: SyncAction[] = [];
  if (!sameSet(person.groups, found!.groups)) actions.push({ kind: "groups", user, groups: found!.groups });
  if (disabled === "directory") actions.push({ kind: "enable", user });
  return actions;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [one, two] = [new Set(a), new Set(b)];
  return one.size === two.size && [...one].every((item) => two.has(item));
}
