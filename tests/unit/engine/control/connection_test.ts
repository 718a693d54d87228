import { equal, ok } from "node:assert/strict";
import { type Stream, UapiConnection } from "../../../../core/engine/control/connection.ts";

/** A program that has sent something and reads whatever it gets. */
class Eager implements Stream {
  readonly written: string[] = [];
  #unread: Uint8Array;

  constructor(request: string) {
    this.#unread = new TextEncoder().encode(request);
  }

  read(into: Uint8Array): number {
    const taken = this.#unread.subarray(0, into.length);
    this.#unread = this.#unread.subarray(taken.length);
    into.set(taken);
    return taken.length || -1;
  }

  write(bytes: Uint8Array): number {
    this.written.push(new TextDecoder().decode(bytes));
    return bytes.length;
  }
}

Deno.test("a turn makes one piece of a reply, however fast its reader is", () => {
  const stream = new Eager("get=1\n\n");
  let made = 0;
  const connection = new UapiConnection(stream, function* () {
    for (let i = 0; i < 100; i++, made++) yield `piece ${i}\n`;
  });
  ok(connection.readable(new Uint8Array(1_024)));
  for (let turn = 1; connection.replying; turn++) {
    ok(made <= turn, `${made} pieces in ${turn} turns`);
    ok(connection.writable());
  }
  equal(stream.written.length, 100);
});

Deno.test("a turn reads one buffer, however much waits", () => {
  const stream = new Eager("set=1\n" + "replace_peers=true\n".repeat(1_000) + "\n");
  let requests = 0;
  const connection = new UapiConnection(stream, function* () {
    requests++;
    yield "errno=0\n\n";
  });
  let turns = 0;
  while (requests === 0) {
    ok(connection.readable(new Uint8Array(1_024)));
    turns++;
  }
  equal(turns, Math.ceil((6 + 19_000 + 1) / 1_024));
});

Deno.test("thousands of requests in one piece are answered, in their order", () => {
  const count = 9_000;
  const stream = new Eager("get=1\n\n".repeat(count));
  let asked = 0;
  const connection = new UapiConnection(stream, function* () {
    yield `${asked++}`;
  });
  ok(connection.readable(new Uint8Array(65_536)));
  while (connection.replying) ok(connection.writable());
  equal(stream.written.join(), Array.from({ length: count }, (_, i) => i).join());
});

Deno.test("who hangs up gives up the replies that it was owed", () => {
  const stream = new Eager("set=1\n\n");
  const steps: string[] = [];
  const connection = new UapiConnection(stream, function* () {
    try {
      yield "";
      yield "errno=0\n\n";
      steps.push("told");
    } finally {
      steps.push("finished");
    }
  });
  ok(connection.readable(new Uint8Array(1_024)));
  ok(connection.replying);
  stream.write = () => -2;
  equal(connection.writable(), false);
  equal(connection.working, false);
  equal(steps.join(), "finished");
  equal(stream.written.length, 0);
});

Deno.test("a change goes on though its asker reads nothing of what it was told before", () => {
  const stream = new Eager("get=1\n\nset=1\n\n");
  let room = 1;
  // Takes one piece, as a socket does whose reader has stopped.
  stream.write = (bytes) => room-- > 0 ? bytes.length : -1;
  let done = 0;
  const connection = new UapiConnection(stream, function* (request) {
    if (request.startsWith("get")) yield "a reply\n\n";
    else {
      for (; done < 10; done++) yield "";
      yield "errno=0\n\n";
    }
  });
  ok(connection.readable(new Uint8Array(1_024)));
  ok(connection.writable());
  let turns = 0;
  for (; connection.working; turns++) ok(connection.writable());
  equal(done, 10);
  equal(turns, 10);
  ok(connection.replying, "and its answer waits for the reader");
});

Deno.test("a change whose asker hangs up goes on, a piece a turn", () => {
  const stream = new Eager("set=1\n\nset=1\n\n");
  let [done, begun] = [0, 0];
  const connection = new UapiConnection(stream, function* () {
    begun++;
    try {
      for (; done < 10; done++) yield "";
      yield "errno=0\n\n";
    } finally {
      equal(done, 10, "it is not finished in one go");
    }
  });
  const buffer = new Uint8Array(1_024);
  ok(connection.readable(buffer));
  stream.read = () => -2;
  ok(connection.readable(buffer), "its socket may go, it does not");
  let turns = 0;
  for (; connection.writable(); turns++) {
    ok(connection.working);
    ok(connection.readable(buffer));
  }
  ok(turns > 5 && turns <= 10, `${turns} turns`);
  equal(begun, 1, "what had not begun is not begun");
  equal(connection.working, false);
  equal(stream.written.length, 0);
});
