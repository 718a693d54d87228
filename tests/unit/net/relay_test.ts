import { deepEqual } from "node:assert/strict";
import { accepted } from "../../../core/net/relay.ts";

Deno.test("a listener that finds no free descriptor goes on when there is one", async () => {
  const outcomes = [
    1,
    Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" }),
    new Deno.errors.ConnectionAborted(),
    2,
    new Deno.errors.BadResource(),
    3,
  ];
  const accept = async () => {
    const outcome = await Promise.resolve(outcomes.shift()!);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  };
  const failures: string[] = [];
  const connections: number[] = [];
  for await (const conn of accepted({ accept }, ({ message }) => failures.push(message))) {
    connections.push(conn);
  }
  deepEqual({ connections, failures }, {
    connections: [1, 2],
    failures: ["Too many open files (os error 24)"],
  });
});
