/**
 * Synchronizes users with their directories. A user who is disabled or missing there is disabled here, until that
 * changes.
 *
 * @module
 */

import type { Context } from "../context.ts";
import type { Provider } from "../store/providers.ts";
import { code, say, type Saying } from "../english.ts";
import { Directory } from "./ldap.ts";
import type { Fault } from "./fault.ts";
import { ACCOUNT_FAULTS } from "./ldap_account.ts";
import { DirectoryError } from "./ldap_connection.ts";
import { act } from "./provider_act.ts";
import { groupsFor, ldapOf } from "./provider_access.ts";
import { type Seal, SealError } from "./seal.ts";
import { decideSync, type DirectoryAnswer, type FoundPerson } from "./sync_decisions.ts";

/** Milliseconds between two requests to a directory. A change there must reach the tunnel within a minute. */
const SYNC_EVERY = 20_000;

/** The result of the last comparison with a directory. */
export interface SyncStatus {
  readonly at: number;
  /** `held` is an answer that has no effect until an administrator confirms it. */
  readonly state: "ok" | "held" | "failed";
  readonly said: Saying;
  /** Whether an administrator can confirm the held answer. */
  readonly confirmable: boolean;
}

/** The parts that it needs. */
export type SyncContext = Pick<Context, "store" | "peers" | "clock" | "log"> & { readonly seal: Seal };

/** Compares all directories periodically. */
export class DirectorySync implements AsyncDisposable {
  readonly #context: SyncContext;
  readonly #statuses = new Map<string, SyncStatus>();
  /** Comparisons of one provider come one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #round: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(context: SyncContext) {
    this.#context = context;
  }

  /** Compares periodically until it is disposed of. */
  start(every = SYNC_EVERY): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#round = this.runAll().finally(() => this.start(every));
    }, every);
  }

  /** The result of the last comparison with a provider's directory; undefined before the first. */
  status(providerId: string): SyncStatus | undefined {
    return this.#statuses.get(providerId);
  }

  /** Compares all directories once. */
  async runAll(): Promise<void> {
    try {
      const providers = await this.#context.store.providers.list();
      await Promise.all(
        providers.filter(({ kind, enabled }) => kind === "ldap" && enabled).map((provider) =>
          this.run(provider)
        ),
      );
    } catch (error) {
      this.#context.log(`directories could not be compared: ${(error as Error).message}`);
    }
  }

  /**
   * Compares one directory.
   *
   * @param confirmed Whether an administrator has confirmed an answer that cuts many people.
   */
  run(provider: Provider, confirmed = false): Promise<SyncStatus> {
    const before = this.#turns.get(provider.id) ?? Promise.resolve();
    const turn = before.then(() => this.#compare(provider, confirmed));
    this.#turns.set(provider.id, turn);
    return turn;
  }

  /** Stops it, after the current comparison. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#round;
    await Promise.all(this.#turns.values());
  }

  async #compare(provider: Provider, confirmed: boolean): Promise<SyncStatus> {
    const { clock, log } = this.#context;
    const before = this.#statuses.get(provider.id);
    let status: SyncStatus;
    try {
      status = { at: clock(), ...await this.#attempt(provider, confirmed) };
    } catch (error) {
      // An error says nothing about any person.
      const said = error instanceof SealError
        ? say("fault", "secret-lost")
        : { ...faultOf(error), text: (error as Error).message };
      status = { at: clock(), state: "failed", said, confirmable: false };
    }
    this.#statuses.set(provider.id, status);
    if (status.state !== before?.state || status.state !== "ok" && status.said.text !== before.said.text) {
      if (before || status.state !== "ok") log(`directory ${provider.name}: ${status.said.text}`);
    }
    return status;
  }

  async #attempt(provider: Provider, confirmed: boolean): Promise<Omit<SyncStatus, "at">> {
    const { store, seal, clock } = this.#context;
    const known = await store.identities.ofProvider(provider.id);
    if (known.length === 0) return ok(say("sync", "nobody-yet"));
    const groups = await store.groups.ofProvider(provider.id);
    const answer = await ask(provider, seal, known.map(({ subject }) => subject), groups, clock);
    const decision = decideSync(
      known.map(({ userId, subject, disabledBy, groupIds }) => ({
        user: userId,
        subject,
        disabled: disabledBy,
        groups: groupIds,
      })),
      answer,
      confirmed,
    );
    if (decision.kind === "hold") {
      const { cut, known, confirmable } = decision;
      const counts = { cut: String(cut), known: String(known) };
      return { state: "held", said: say("sync", confirmable ? "most" : "nobody", counts), confirmable };
    }
    const { actions } = decision;
    if (actions.length > 0) {
      await this.#context.peers.change({ users: actions.map(({ user }) => user) }, async () => {
        for (const action of actions) {
          await store.transaction((records) => act(records, provider, action, clock()));
        }
      });
    }
    return ok(say("sync", "compared", { found: String(answer.found.size), known: String(known.length) }));
  }
}

function faultOf(error: unknown): Fault {
  return error instanceof DirectoryError ? error.fault : code("fault", "failed");
}

function ok(said: Saying): Omit<SyncStatus, "at"> {
  return { state: "ok", said, confirmable: false };
}

/** @throws {DirectoryError} If the answer is incomplete. */
async function ask(
  provider: Provider,
  seal: Seal,
  subjects: readonly string[],
  groups: readonly { readonly id: string; readonly subject: string }[],
  clock: () => number,
): Promise<DirectoryAnswer> {
  const { settings, password } = ldapOf(provider, seal);
  await using directory = await Directory.open(settings, password, clock);
  const people = await directory.lookUp(subjects, groups.map(({ subject }) => subject));
  const found = new Map<string, FoundPerson>();
  for (const [subject, { disabled, groups: names }] of people) {
    found.set(subject, {
      disabled: disabled && ACCOUNT_FAULTS[disabled],
      groups: groupsFor("ldap", names, groups).map(({ id }) => id),
    });
  }
  return { found, hasPeople: found.size > 0 || await directory.hasPeople() };
}
