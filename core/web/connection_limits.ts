/**
 * Limits for the connections of browsers. Deno has none: a client that sends the head of a request slowly, or nothing,
 * could open connections until this process has no descriptors left. A client that does not read its responses could
 * make this process keep them until it has no memory left.
 *
 * @module
 */

import type { Accepted, AcceptedConnections } from "../../ffi/linux/accepted_connections.ts";
import { formatAddress, parseAddress } from "../config/address.ts";
import { NetworkCounts } from "./network_counts.ts";
import { networkOf } from "./sign_in/budgets.ts";

/** The limits. A network is an IPv4 address or a /64 of IPv6. */
export interface Limits {
  /** Milliseconds until the first request of a connection. */
  readonly firstRequest: number;
  /** Milliseconds without a request. Browsers then connect again by themselves. */
  readonly idle: number;
  /** Milliseconds until the client has read a response. */
  readonly response: number;
  /** Connections of one network. A browser needs one connection. A whole office may share one address. */
  readonly perNetwork: number;
  /** Total number of connections. */
  readonly total: number;
  /** Requests of one connection that are not finished. HTTP/2 recommends at least 100. */
  readonly requestsPerConnection: number;
  /** Requests of one network that are not finished, without long responses. */
  readonly requestsPerNetwork: number;
  /** Total number of requests that are not finished, without long responses. */
  readonly requests: number;
  /** Requests that a network has even if the total is reached. */
  readonly requestsLeft: number;
}

const LIMITS: Limits = {
  firstRequest: 20_000,
  idle: 75_000,
  response: 60_000,
  perNetwork: 1_024,
  total: 4_096,
  requestsPerConnection: 100,
  requestsPerNetwork: 512,
  requests: 2_048,
  requestsLeft: 16,
};

/** Milliseconds between two checks. */
const EVERY = 500;

/** A request whose response is not finished. */
export interface OpenRequest {
  /** Gives its response more time, in milliseconds. It then only counts as a request of its connection. */
  allow(time: number): void;
}

/** A connection. */
interface Known {
  /** Whether it has made a request. */
  asked: boolean;
  /** When each request that is not finished has to be. */
  readonly open: Set<{ end: number }>;
  /** Milliseconds when it was first seen, or when its last response was finished. */
  since: number;
}

/** What to know about a connection to decide whether it is ended. */
interface Candidate {
  readonly connection: Accepted;
  readonly network: string;
  readonly known: Known;
}

/** Ends connections that exceed the limits. */
export class ConnectionLimits implements Disposable {
  readonly #connections: AcceptedConnections;
  readonly #now: () => number;
  readonly #limits: Limits;
  readonly #isExempt: (address: string) => boolean;
  readonly #known = new Map<string, Known>();
  /** Requests that are not finished. */
  readonly #requests = new NetworkCounts();
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param now Milliseconds of a clock that is never adjusted.
   * @param isExempt Addresses without limits.
   */
  constructor(
    connections: AcceptedConnections,
    now: () => number,
    isExempt: (address: string) => boolean = () => false,
    limits: Limits = LIMITS,
  ) {
    this.#connections = connections;
    this.#now = now;
    this.#isExempt = isExempt;
    this.#limits = limits;
  }

  /** Begins to check the connections of a port. */
  start(port: number): void {
    this.#timer = setInterval(() => this.look(port), EVERY);
  }

  /**
   * Records a request.
   *
   * @param completed Resolves when its response is finished or was cut off.
   * @returns Undefined if there are too many requests.
   */
  used(
    { hostname, port }: { readonly hostname: string; readonly port: number },
    completed: Promise<void>,
  ): OpenRequest | undefined {
    const address = parseAddress(hostname.replace(/%.*$/, ""));
    if (!address || this.#isExempt(hostname)) return { allow: () => {} };
    const known = this.#knownAs(nameOf({ address, port }));
    const network = networkOf(formatAddress(address));
    const { response, requestsPerConnection } = this.#limits;
    const isRefused = known.open.size >= requestsPerConnection || !this.#hasRoom(network);
    known.asked = true;
    const request = { end: this.#now() + response };
    known.open.add(request);
    this.#requests.add(network);
    let isCounted = true;
    const release = () => {
      if (isCounted) this.#requests.remove(network);
      isCounted = false;
    };
    const end = () => {
      release();
      known.open.delete(request);
      known.since = this.#now();
    };
    completed.then(end, end);
    if (isRefused) return undefined;
    return {
      allow: (time) => {
        release();
        request.end = this.#now() + time;
      },
    };
  }

  #hasRoom(network: string): boolean {
    const count = this.#requests.of(network);
    const { requests, requestsPerNetwork, requestsLeft } = this.#limits;
    return count < requestsPerNetwork && (this.#requests.total < requests || count < requestsLeft);
  }

  /** Ends connections that are too old or too many. */
  look(port: number): void {
    const now = this.#now();
    const accepted = this.#connections.at(port).flatMap((connection): Candidate[] => {
      const address = formatAddress(connection.address);
      if (this.#isExempt(address)) return [];
      return [{ connection, network: networkOf(address), known: this.#knownAs(nameOf(connection)) }];
    });
    const names = new Set(accepted.map(({ connection }) => nameOf(connection)));
    for (const [name, { open }] of this.#known) {
      if (open.size === 0 && !names.has(name)) this.#known.delete(name);
    }
    const { perNetwork, total } = this.#limits;
    const [late, rest] = split(accepted, ({ known }) => this.#isLate(known, now));
    // First those with a response in progress, and last those that have waited longest for a request.
    rest.reverse().sort((a, b) =>
      Math.sign(b.known.open.size) - Math.sign(a.known.open.size) || b.known.since - a.known.since
    );
    const ofNetworks = [...Map.groupBy(rest, ({ network }) => network).values()];
    const many = new Set(ofNetworks.flatMap((group) => group.slice(perNetwork)));
    const surplus = unfair(rest.filter((each) => !many.has(each)), total, [siteOf, ({ network }) => network]);
    for (const { connection } of [...late, ...many, ...surplus]) this.#connections.end(connection);
  }

  #isLate({ asked, open, since }: Known, now: number): boolean {
    const { firstRequest, idle } = this.#limits;
    if (open.size === 0) return now - since > (asked ? idle : firstRequest);
    return open.values().some(({ end }) => now > end);
  }

  #knownAs(name: string): Known {
    let known = this.#known.get(name);
    if (!known) this.#known.set(name, known = { asked: false, open: new Set(), since: this.#now() });
    return known;
  }

  /** Stops checking. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/**
 * Shares places among groups: those that need few get all of them, and the others get equal shares. So clients with many
 * connections cannot take the places of others.
 *
 * @param list Connections, the most important first.
 * @param groupings How to group them, and then the connections of a group.
 * @returns Those that get no place.
 */
function unfair(
  list: readonly Candidate[],
  places: number,
  [grouping, ...finer]: readonly ((each: Candidate) => string)[],
): readonly Candidate[] {
  if (list.length <= places) return [];
  if (!grouping) return list.slice(places);
  const groups = [...Map.groupBy(list, grouping).values()];
  const lengths = groups.map(({ length }) => length).sort((a, b) => a - b);
  let left = places;
  let at = 0;
  while (lengths[at]! <= left / (lengths.length - at)) left -= lengths[at++]!;
  const share = Math.floor(left / (lengths.length - at));
  let extra = left % (lengths.length - at);
  return groups.flatMap((group) =>
    group.length <= share ? [] : unfair(group, share + (extra-- > 0 ? 1 : 0), finer)
  );
}

/** The part of an address that an organization usually has: an IPv4 address, or the /48 of an IPv6 address. */
function siteOf({ network }: Candidate): string {
  return network.split(":").slice(0, 3).join(":");
}

function split<T>(list: readonly T[], isFirst: (each: T) => boolean): [T[], T[]] {
  const { first = [], second = [] } = Object.groupBy(list, (each) => isFirst(each) ? "first" : "second");
  return [first, second];
}

function nameOf({ address, port }: Omit<Accepted, "fd">): string {
  return `${formatAddress(address)} ${port}`;
}
