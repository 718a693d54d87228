import { equal, ok } from "node:assert/strict";
import { Connection, PAUSE, type Stream } from "../../../../core/engine/control/connection.ts";

/** A program that has sent something and reads every reply. */
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

const buffer = new Uint8Array(65_536);

/** Serves a connection until it waits for something else. @returns The number of turns. */
function serveWhile(connection: Connection, ...states: Connection["state"][]): number {
  let turns = 0;
  for (; states.includes(connection.state); turns++) {
    ok(turns < 100_000, `it stays ${connection.state}`);
    connection.serve(buffer);
  }
  return turns;
}

Deno.test("a turn makes one piece of a reply, however fast its reader is", () => {
  const stream = new Eager("get=1\n\n");
  let made = 0;
  const connection = new Connection(stream, function* () {
    for (let i = 0; i < 100; i++, made++) yield `piece ${i}\n`;
  });
  connection.serve(buffer);
  for (let turn = 1; connection.state === "sending"; turn++) {
    ok(made <= turn, `${made} pieces in ${turn} turns`);
    connection.serve(buffer);
  }
  equal(stream.written.length, 100);
  equal(connection.state, "receiving");
});

Deno.test("a turn reads one buffer, however much data waits", () => {
  const stream = new Eager("set=1\n" + "replace_peers=true\n".repeat(1_000) + "\n");
  let requests = 0;
  const connection = new Connection(stream, function* () {
    requests++;
    yield "errno=0\n\n";
  });
  let turns = 0;
  while (requests === 0) {
    equal(connection.state, "receiving");
    connection.serve(buffer.subarray(0, 1_024));
    turns++;
  }
  equal(turns, Math.ceil((6 + 19_000 + 1) / 1_024));
});

Deno.test("thousands of requests in one piece are answered, in their order", () => {
  const count = 9_000;
  const stream = new Eager("get=1\n\n".repeat(count));
  let asked = 0;
  const connection = new Connection(stream, function* () {
    yield `${asked++}`;
  });
  connection.serve(buffer);
  serveWhile(connection, "sending");
  equal(stream.written.join(), Array.from({ length: count }, (_, i) => i).join());
});

Deno.test("the end of the stream ends a request, and after its reply the connection is over", () => {
  const stream = new Eager("get=1\n");
  const connection = new Connection(stream, function* (request) {
    yield request;
  });
  connection.serve(buffer);
  equal(connection.state, "receiving");
  stream.read = () => 0;
  serveWhile(connection, "receiving", "sending");
  equal(connection.state, "over");
  equal(stream.written.join(), "get=1\n");
});

Deno.test("a program that disconnects loses its pending replies", () => {
  const stream = new Eager("set=1\n\n");
  const steps: string[] = [];
  const connection = new Connection(stream, function* () {
    try {
      yield PAUSE;
      yield "errno=0\n\n";
      steps.push("told");
    } finally {
      steps.push("finished");
    }
  });
  connection.serve(buffer);
  equal(connection.state, "working");
  stream.write = () => -2;
  connection.serve(buffer);
  equal(connection.state, "over");
  equal(steps.join(), "finished");
  equal(stream.written.length, 0);
});

Deno.test("a change continues if its sender does not read earlier replies", () => {
  const stream = new Eager("get=1\n\nset=1\n\n");
  let room = 1;
  // Accepts one piece, like a socket whose reader has stopped.
  stream.write = (bytes) => room-- > 0 ? bytes.length : -1;
  let done = 0;
  const change = function* () {
    for (; done < 10; done++) yield PAUSE;
    yield "errno=0\n\n";
  };
  const connection = new Connection(
    stream,
    (request) => request.startsWith("get") ? ["a reply\n\n"].values() : change(),
  );
  connection.serve(buffer);
  connection.serve(buffer);
  equal(serveWhile(connection, "working"), 10);
  equal(done, 10);
  equal(connection.state, "sending", "the reply waits for the reader");
});

Deno.test("a change whose sender disconnects continues, one piece per turn", () => {
  const stream = new Eager("set=1\n\nset=1\n\n");
  let [done, begun] = [0, 0];
  const connection = new Connection(stream, function* () {
    begun++;
    try {
      for (; done < 10; done++) yield PAUSE;
      yield "errno=0\n\n";
    } finally {
      equal(done, 10, "a change is not finished in one turn");
    }
  });
  connection.serve(buffer);
  stream.read = stream.write = () => -2;
  equal(serveWhile(connection, "working"), 10);
  equal(begun, 1, "a request that has not begun does not begin");
  equal(connection.state, "over");
  equal(stream.written.length, 0);
});

Deno.test("an invalid request ends its connection, after the replies before it", () => {
  const stream = new Eager("get=1\n\nhello\n\nget=1\n\n");
  const connection = new Connection(
    stream,
    (request) => request.startsWith("get=1") ? ["a reply\n\n"].values() : null,
  );
  connection.serve(buffer);
  serveWhile(connection, "sending");
  equal(connection.state, "over");
  equal(stream.written.join(), "a reply\n\n");
});

Deno.test("no key that was read or sent stays in a buffer", () => {
  const stream = new Eager("set=1\nprivate_key=0123\n\n");
  const sent: Uint8Array[] = [];
  // Accepts a few bytes at a time.
  stream.write = (bytes) => {
    sent.push(bytes);
    return Math.min(bytes.length, 5);
  };
  const connection = new Connection(stream, (request) => [request].values());
  connection.serve(buffer);
  serveWhile(connection, "sending");
  ok(buffer.every((byte) => byte === 0), "the buffer of what was read is erased");
  equal(sent.length, 5);
  ok(sent.every((bytes) => bytes.every((byte) => byte === 0)), "the buffer of what was sent is erased");
});

for (
  const [who, leave] of [
    ["a reader who hangs up", (connection, stream) => {
      stream.write = () => -2;
      connection.serve(buffer);
    }],
    ["a reader who is hung up on", (connection) => connection.end()],
  ] as [string, (connection: Connection, stream: Eager) => void][]
) {
  Deno.test(`data that ${who} has not read is not kept`, () => {
    const stream = new Eager("get=1\n\n");
    const connection = new Connection(stream, () => ["private_key=0123\n"].values());
    let sent: Uint8Array | undefined;
    stream.write = (bytes) => {
      sent = bytes;
      return -1;
    };
    connection.serve(buffer);
    ok(sent!.some((byte) => byte !== 0));
    leave(connection, stream);
    equal(connection.state, "over");
    ok(sent!.every((byte) => byte === 0));
  });
}
