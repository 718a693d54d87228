/**
 * What follows from a directory's answer about people who are known here. Nothing is asked or stored in this file.
 *
 * @module
 */

import type { DisabledBy } from "../store/identities.ts";

/** A person as the store has them. */
export interface KnownPerson {
  readonly user: string;
  /** In the directory. */
  readonly subject: string;
  /** Who disabled the user; null if nobody did. */
  readonly disabled: DisabledBy | null;
  /** Ids of the groups here that they are in because of the directory. */
  readonly groups: readonly string[];
}

/** A person as the directory has them. */
export interface FoundPerson {
  /** Why the directory lets the account do nothing; null if it does not. */
  readonly disabled: string | null;
  /** Ids of the groups here that the directory's groups lead to. */
  readonly groups: readonly string[];
}

/** What a directory said. */
export interface DirectoryAnswer {
  /** Of those who were asked about, by subject. */
  readonly found: ReadonlyMap<string, FoundPerson>;
  /** Somebody at all is in the directory. */
  readonly hasPeople: boolean;
}

/** One thing to do. */
export type SyncAction =
  | { readonly kind: "disable"; readonly user: string; readonly reason: string }
  | { readonly kind: "enable"; readonly user: string }
  | { readonly kind: "groups"; readonly user: string; readonly groups: readonly string[] };

/** What to do, or why nothing is done. */
export type SyncDecision =
  | { readonly kind: "apply"; readonly actions: readonly SyncAction[] }
  | {
    readonly kind: "hold";
    readonly cut: number;
    readonly known: number;
    /** An administrator can say that it is meant. */
    readonly confirmable: boolean;
  };

/** Up to this many people are cut at once whatever their share is. */
const ALWAYS = 5;

/**
 * Decides.
 *
 * An answer by which more than half of the people (and more than five) would lose access at once is more likely a
 * directory that hides them (rights of the searching account, a wrong base, a restored copy) than a decision about each of
 * them. It is held until an administrator confirms it. An answer in which nobody at all is left is held in any case.
 *
 * @param known All people of the provider.
 * @param confirmed An administrator has said that this many are meant.
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
