/**
 * Limits attempts to sign in: each account and each address has a budget.
 *
 * An attempt is charged before the password is checked, and refunded if the password was right, so concurrent attempts
 * cannot overdraw a budget. Strangers who use up the budget of an account do not lock out its owner, because an address
 * from which the account has signed in before has its own budget.
 *
 * @module
 */

/** A budget: the maximum number of attempts, and the milliseconds after which one more is allowed. */
interface Budget {
  readonly burst: number;
  readonly refill: number;
}

const ACCOUNT: Budget = { burst: 10, refill: 60_000 };
const ADDRESS: Budget = { burst: 40, refill: 15_000 };
/** The maximum number of stored budgets. The least recently used ones are removed first. */
const REMEMBERED = 20_000;

/** The rest of a budget. */
interface Left {
  /** Milliseconds. An attempt costs as many as it takes to refill one. */
  credit: number;
  /** Milliseconds since 1970 when `credit` was right. */
  at: number;
}

/** A permitted attempt. */
export interface Attempt {
  /** Refunds the account's whole budget, and marks the address as one of the account's own. */
  succeeded(): void;
  /** Refunds the attempt, because the password was not checked. */
  cancel(): void;
}

/** The budgets of a server. They are only in memory, because whoever can restart the server needs no password. */
export class Budgets {
  #left = new Map<string, Left>();
  #own = new Map<string, true>();
  readonly #now: () => number;

  /** @param now Gives milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Charges an attempt.
   *
   * @param account The account that is to sign in, whether it exists or not. Undefined if there is none, as for an
   * invitation.
   * @param address The client's address.
   * @returns The attempt, or the seconds to wait.
   */
  charge(account: string | undefined, address: string): Attempt | { readonly retryAfter: number } {
    const from = networkOf(address);
    const who = account === undefined ? undefined : plain(account);
    const pair = JSON.stringify([who, from]);
    const charged: [string, Budget][] = [[`address ${from}`, ADDRESS]];
    if (who !== undefined) {
      charged.push([this.#own.has(pair) ? `own ${pair}` : `account ${who}`, ACCOUNT]);
    }
    const budgets = charged.map(([key, budget]) => ({ key, budget, left: this.#refilled(key, budget) }));
    const wait = Math.max(...budgets.map(({ budget, left }) => budget.refill - left.credit));
    if (wait > 0) return { retryAfter: Math.ceil(wait / 1_000) };
    for (const { key, budget, left } of budgets) {
      left.credit -= budget.refill;
      keep(this.#left, key, left);
    }
    const cancel = () => {
      for (const { left, budget: { burst, refill } } of budgets) {
        left.credit = Math.min(left.credit + refill, burst * refill);
      }
    };
    return {
      cancel,
      succeeded: () => {
        cancel();
        const [, ofAccount] = budgets;
        if (!ofAccount) return;
        ofAccount.left.credit = ACCOUNT.burst * ACCOUNT.refill;
        keep(this.#own, pair, true);
      },
    };
  }

  #refilled(key: string, { burst, refill }: Budget): Left {
    const now = this.#now();
    const left = this.#left.get(key);
    const full = burst * refill;
    if (!left) return { credit: full, at: now };
    // If the clock was set back, nothing is refunded.
    left.credit = Math.min(left.credit + Math.max(0, now - left.at), full);
    left.at = now;
    return left;
  }
}

/** Sets a value as the newest of a bounded map. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete(map.keys().next().value!);
}

/** Directories ignore case, width and spaces, so each spelling of a name is the same account. */
function plain(account: string): string {
  return account.normalize("NFKC").toLowerCase().replaceAll(/\s+/g, " ").trim();
}

/** The part of an address that identifies a person: an IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").toLowerCase().split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length - rest.length }, () => "0");
  return [...groups, ...zeros, ...rest].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":");
}
