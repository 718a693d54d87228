/**
 * The connections that are ended. The test controls the clock.
 *
 * @module
 */

import { deepEqual } from "node:assert/strict";
import { parseAddress } from "../../../core/config/address.ts";
import { ConnectionLimits } from "../../../core/web/connection_limits.ts";
import type { Accepted } from "../../../ffi/linux/accepted_connections.ts";

/** Connections that the test makes, and their limits. */
function start() {
  const open = new Map<string, Accepted>();
  const state = { now: 1_000 };
  const connections = {
    at: () => [...open.values()],
    end: (connection: Accepted) => {
      for (const [name, each] of open) if (each === connection) open.delete(name);
    },
  };
  const limits = new ConnectionLimits(connections, () => state.now, {
    firstRequest: 20,
    idle: 75,
    perAddress: 3,
    total: 5,
  });
  return {
    /** Opens a connection from an address and port, such as `192.0.2.1 5000`. */
    open(name: string) {
      const [address, port] = name.split(" ");
      open.set(name, { fd: open.size, address: parseAddress(address!)!, port: Number(port) });
    },
    /** Begins a request. @returns A function that ends it. */
    ask(name: string): () => Promise<void> {
      const [hostname, port] = name.split(" ");
      const { promise, resolve } = Promise.withResolvers<void>();
      limits.used({ hostname: hostname!, port: Number(port) }, promise);
      return () => {
        resolve();
        return promise;
      };
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
  const end = lab.ask(asks);
  deepEqual(lab.after(20), [silent, asks]);
  deepEqual(lab.after(1), [asks]);
  deepEqual(lab.after(1_000), [asks], "a response that goes on");
  await end();
  deepEqual(lab.after(75), [asks]);
  deepEqual(lab.after(1), []);
});

Deno.test("ConnectionLimits: concurrent requests are counted, and a reused port starts again", async () => {
  const lab = start();
  const name = "2001:db8::1 5000";
  lab.open(name);
  const [first, second] = [lab.ask(name), lab.ask(name)];
  await first();
  deepEqual(lab.after(1_000), [name]);
  await second();
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
