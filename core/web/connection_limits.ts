/**
 * Limits for the connections of browsers. Deno has none: a client that sends the head of a request slowly, or nothing,
 * could open connections until this process has no descriptors left.
 *
 * @module
 */

import type { Accepted, AcceptedConnections } from "../../ffi/linux/accepted_connections.ts";
import { formatAddress, parseAddress } from "../config/address.ts";
import { networkOf } from "./sign_in/budgets.ts";

/** The limits. */
export interface Limits {
  /** Milliseconds until the first request of a connection. */
  readonly firstRequest: number;
  /** Milliseconds without a request. Browsers then connect again by themselves. */
  readonly idle: number;
  /**
   * Connections from one address, or from one /64 of IPv6. A browser needs one connection. A whole office may share one
   * address.
   */
  readonly perAddress: number;
  /** Total number of connections. */
  readonly total: number;
}

const LIMITS: Limits = { firstRequest: 20_000, idle: 75_000, perAddress: 256, total: 4_096 };

/** Milliseconds between two checks. */
const EVERY = 500;

/** A connection. */
interface Known {
  /** Whether it has made a request. */
  asked: boolean;
  /** Requests whose responses are not finished. */
  open: number;
  /** Milliseconds when it was first seen, or when its last response was finished. */
  since: number;
}

/** Ends connections that exceed the limits. */
export class ConnectionLimits implements Disposable {
  readonly #connections: AcceptedConnections;
  readonly #now: () => number;
  readonly #limits: Limits;
  readonly #known = new Map<string, Known>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param now Milliseconds of a clock that is never adjusted. */
  constructor(connections: AcceptedConnections, now: () => number, limits: Limits = LIMITS) {
    this.#connections = connections;
    this.#now = now;
    this.#limits = limits;
  }

  /** Begins to check the connections of a port. */
  start(port: number): void {
    this.#timer = setInterval(() => this.look(port), EVERY);
  }

  /** Records a request. @param completed Resolves when its response is finished or was cut off. */
  used(
    { hostname, port }: { readonly hostname: string; readonly port: number },
    completed: Promise<void>,
  ): void {
    const address = parseAddress(hostname.replace(/%.*$/, ""));
    if (!address) return;
    const known = this.#knownAs(nameOf({ address, port }));
    known.asked = true;
    known.open++;
    const end = () => {
      known.open--;
      known.since = this.#now();
    };
    completed.then(end, end);
  }

  /** Ends connections that are too old or too many. */
  look(port: number): void {
    const now = this.#now();
    const accepted = this.#connections.at(port).map((connection) => {
      const name = nameOf(connection);
      return { connection, name, known: this.#knownAs(name) };
    });
    const names = new Set(accepted.map(({ name }) => name));
    for (const [name, { open }] of this.#known) {
      if (open === 0 && !names.has(name)) this.#known.delete(name);
    }
    const { firstRequest, idle, perAddress, total } = this.#limits;
    // First the connections that have waited longest for a request, and last those with a response in progress.
    accepted.sort((a, b) =>
      Math.sign(a.known.open) - Math.sign(b.known.open) || a.known.since - b.known.since
    );
    const counts = new Map<string, number>();
    for (const { connection } of accepted) {
      const network = networkOf(formatAddress(connection.address));
      counts.set(network, (counts.get(network) ?? 0) + 1);
    }
    let left = accepted.length;
    for (const { connection, known: { asked, open, since } } of accepted) {
      const network = networkOf(formatAddress(connection.address));
      const count = counts.get(network)!;
      const isLate = open === 0 && now - since > (asked ? idle : firstRequest);
      if (!isLate && count <= perAddress && left <= total) continue;
      this.#connections.end(connection);
      counts.set(network, count - 1);
      left--;
    }
  }

  #knownAs(name: string): Known {
    let known = this.#known.get(name);
    if (!known) this.#known.set(name, known = { asked: false, open: 0, since: this.#now() });
    return known;
  }

  /** Stops checking. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function nameOf({ address, port }: Omit<Accepted, "fd">): string {
  return `${formatAddress(address)} ${port}`;
}
