/**
 * The connections that are ended. The test controls the clock.
 *
 * @module
 */

import { deepEqual } from "node:assert/strict";
import { parseAddress } from "../../../core/config/address.ts";
import { ConnectionLimits, type Limits } from "../../../core/web/connection_limits.ts";
import type { Accepted } from "../../../ffi/linux/accepted_connections.ts";

const LIMITS: Limits = {
  firstRequest: 20,
  idle: 75,
  response: 60,
  perNetwork: 3,
  total: 5,
  requestsPerConnection: 3,
  requestsPerNetwork: 5,
  requests: 8,
  requestsLeft: 2,
};
/** An address without limits. */
const EXEMPT = "198.51.100.1";

/** Connections that the test makes, and their limits. */
function start(changed: Partial<Limits> = {}) {
  const open = new Map<string, Accepted>();
  const state = { now: 1_000 };
  const connections = {
    at: () => [...open.values()],
    end: (connection: Accepted) => {
      for (const [name, each] of open) if (each === connection) open.delete(name);
    },
  };
  const isExempt = (address: string) => address === EXEMPT;
  const limits = new ConnectionLimits(connections, () => state.now, isExempt, { ...LIMITS, ...changed });
  return {
    /** Opens a connection from an address and port, such as `192.0.2.1 5000`. */
    open(name: string) {
      const [address, port] = name.split(" ");
      open.set(name, { fd: open.size, address: parseAddress(address!)!, port: Number(port) });
    },
    /** Begins a request. @returns A function that ends it, whether it is allowed, and a function that gives it time. */
    ask(name: string) {
      const [hostname, port] = name.split(" ");
      const { promise, resolve } = Promise.withResolvers<void>();
      const open = limits.used({ hostname: hostname!, port: Number(port) }, promise);
      const end = () => {
        resolve();
        return promise;
      };
      return { end, allowed: open !== undefined, allow: (time: number) => open!.allow(time) };
    },
    /** Advances the clock. @returns The remaining connections. */
    after(milliseconds: number): string[] {
      state.now += milliseconds;
      limits.look(443);
      return [...open.keys()];
    },
  };
}

Deno.test("ConnectionLimits: a connection has 20 ms for its first request and 75 ms for others", async () => {
  const lab = start();
  const [silent, asks] = ["192.0.2.1 5000", "192.0.2.1 5001"];
  lab.open(silent);
  lab.open(asks);
  deepEqual(lab.after(0), [silent, asks]);
  const { end } = lab.ask(asks);
  deepEqual(lab.after(20), [silent, asks]);
  deepEqual(lab.after(1), [asks]);
  deepEqual(lab.after(39), [asks], "a response that continues keeps its connection");
  await end();
  deepEqual(lab.after(75), [asks]);
  deepEqual(lab.after(1), []);
});

Deno.test("ConnectionLimits: concurrent requests are counted, and a reused port starts again", async () => {
  const lab = start();
  const name = "2001:db8::1 5000";
  lab.open(name);
  const [first, second] = [lab.ask(name), lab.ask(name)];
  await first.end();
  deepEqual(lab.after(60), [name]);
  await second.end();
  deepEqual(lab.after(76), []);
  deepEqual(lab.after(0), []);
  lab.open(name);
  deepEqual(lab.after(0), [name]);
  deepEqual(lab.after(20), [name]);
  deepEqual(lab.after(1), []);
});

Deno.test("ConnectionLimits: if one network has too many connections, those that were unused longest are ended", () => {
  const lab = start();
  const names = ["2001:db8::1 1", "2001:db8::2 2", "2001:db8::3 3", "2001:db8::4 4"];
  lab.open(names[0]!);
  lab.ask(names[0]!);
  for (const name of names.slice(1)) {
    lab.after(1);
    lab.open(name);
  }
  lab.open("2001:db8:0:1::1 5");
  deepEqual(lab.after(1), [names[0], names[2], names[3], "2001:db8:0:1::1 5"]);
});

Deno.test("ConnectionLimits: a mapped address equals its IPv4 address, and two spellings are equal", () => {
  const lab = start();
  for (let n = 0; n < 3; n++) lab.open(`::ffff:192.0.2.1 ${n}`);
  lab.ask("::ffff:c000:201 0");
  deepEqual(lab.after(0).length, 3);
  lab.open("192.0.2.1 9");
  deepEqual(lab.after(1), ["::ffff:192.0.2.1 0", "::ffff:192.0.2.1 2", "192.0.2.1 9"]);
});

Deno.test("ConnectionLimits: there is a limit for all addresses, too", () => {
  const lab = start();
  const names = [1, 2, 3, 4, 5, 6].map((n) => `192.0.2.${n} 5000`);
  for (const name of names) {
    lab.open(name);
    lab.after(1);
  }
  deepEqual(lab.after(0), names.slice(1));
});

Deno.test("ConnectionLimits: a client has 60 ms to read a response, unless it may take longer", async () => {
  const lab = start();
  const [reads, stops, follows] = ["192.0.2.1 1", "192.0.2.2 2", "192.0.2.3 3"];
  for (const name of [reads, stops, follows]) lab.open(name);
  const read = lab.ask(reads);
  lab.ask(stops);
  lab.ask(follows).allow(300);
  deepEqual(lab.after(60), [reads, stops, follows]);
  await read.end();
  // A connection on which other requests are answered is not an exception.
  await lab.ask(stops).end();
  deepEqual(lab.after(1), [reads, follows]);
  deepEqual(lab.after(239), [follows]);
  deepEqual(lab.after(1), []);
});

Deno.test("ConnectionLimits: requests are refused if a connection or a network has too many", async () => {
  const lab = start();
  const ask = (name: string, times: number) => Array.from({ length: times }, () => lab.ask(name));
  const allowed = (requests: { allowed: boolean }[]) => requests.map(({ allowed }) => allowed);
  const first = ask("192.0.2.1 1", 4);
  deepEqual(allowed(first), [true, true, true, false]);
  deepEqual(allowed(ask("192.0.2.1 2", 2)), [true, false], "a network gets at most five");
  for (const { end } of first) await end();
  deepEqual(allowed(ask("192.0.2.1 2", 1)), [true]);
  deepEqual(allowed(ask("192.0.2.2 3", 3)), [true, true, true]);
  deepEqual(allowed(ask("192.0.2.2 4", 3)), [true, true, false], "a network gets at most five");
  deepEqual(allowed(ask("192.0.2.3 5", 3)), [true, true, false], "another network still gets two");
});

Deno.test("ConnectionLimits: a response that may take long counts only as a request of its connection", () => {
  const lab = start();
  for (let n = 0; n < 20; n++) lab.ask(`192.0.2.1 ${n}`).allow(300);
  deepEqual([1, 2, 3].map(() => lab.ask("192.0.2.1 0").allowed), [true, true, false]);
});

Deno.test("ConnectionLimits: if there are too many in total, the networks with most connections lose theirs", () => {
  const lab = start({ total: 6 });
  const [idle, busy] = ["192.0.2.1 1", "192.0.2.2 2"];
  lab.open(idle);
  lab.open(busy);
  lab.after(1);
  const stranger = ["203.0.113.1 1", "203.0.113.1 2", "203.0.113.1 3"];
  const other = ["203.0.113.2 1", "203.0.113.2 2", "203.0.113.2 3"];
  for (const name of [...stranger, ...other]) {
    lab.open(name);
    lab.ask(name);
    lab.after(0);
  }
  deepEqual(lab.after(1), [idle, busy, ...stranger.slice(1), ...other.slice(1)]);
});

Deno.test("ConnectionLimits: all networks in a /48 of IPv6 count as one", () => {
  const lab = start();
  const honest = ["192.0.2.1 1", "2001:db8:1::1 1"];
  const names = [...honest, ...[1, 2, 3, 4, 5, 6].map((n) => `2001:db8:2:${n}::1 1`)];
  for (const name of names) {
    lab.open(name);
    lab.after(1);
  }
  deepEqual(lab.after(1), [...honest, ...names.slice(-3)]);
});

Deno.test("ConnectionLimits: an exempt address has no limits and does not count", () => {
  const lab = start();
  const exempt = Array.from({ length: 9 }, (_, n) => `${EXEMPT} ${n}`);
  for (const name of exempt) lab.open(name);
  lab.open("192.0.2.1 1");
  deepEqual(exempt.map((name) => lab.ask(name).allowed), exempt.map(() => true));
  deepEqual(exempt.map(() => lab.ask(exempt[0]!).allowed), exempt.map(() => true));
  deepEqual(lab.after(0), [...exempt, "192.0.2.1 1"]);
  deepEqual(lab.after(1_000), exempt);
});
