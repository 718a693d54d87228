import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { ClientHelloReader, MAX_CLIENT_HELLO, type ServerName } from "../../../core/proxy/client_hello.ts";
import { clientHello, concat, list, recordedHello, records, serverNames } from "./client_hello.ts";

const SERVER_NAME = 0;

/** What one reader finds in bytes that come in parts. */
function found(bytes: Uint8Array, cuts: readonly number[] = []): ServerName {
  const reader = new ClientHelloReader();
  const places = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  let last: ServerName = null;
  for (let i = 1; i < places.length; i++) last = reader.push(bytes.subarray(places[i - 1], places[i]));
  deepEqual(reader.received, bytes, "all bytes are kept for the server");
  return last;
}

const named = (name: string) => records(clientHello({ extensions: [[SERVER_NAME, serverNames([0, name])]] }));
const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const names = fc.array(label, { minLength: 1, maxLength: 8 }).map((labels) => labels.join("."));
const someBytes = (maxLength: number) => fc.uint8Array({ maxLength });
/** Extensions other than server_name. */
const others = fc.array(fc.tuple(fc.integer({ min: 1, max: 0xffff }), someBytes(300)), { maxLength: 8 });

Deno.test("ClientHelloReader finds the name in what Deno's own client sends", async () => {
  const bytes = await recordedHello("intranet.example");
  deepEqual(found(bytes), { name: "intranet.example" });
  deepEqual(found(bytes, Array.from(bytes, (_, i) => i)), { name: "intranet.example" });
});

Deno.test("ClientHelloReader finds the name wherever it is, in records and parts of any length", () => {
  fc.assert(
    fc.property(
      names,
      others,
      others,
      someBytes(32),
      fc.uint8Array({ minLength: 2, maxLength: 400 }),
      fc.array(fc.nat(4_000), { maxLength: 30 }),
      fc.array(fc.nat(4_000), { maxLength: 30 }),
      someBytes(50),
      (name, before, after, session, ciphers, recordCuts, parts, more) => {
        const extensions = [...before, [SERVER_NAME, serverNames([0, name])] as const, ...after];
        const message = clientHello({ session, ciphers, extensions });
        const cuts = recordCuts.filter((cut) => cut < message.length);
        const bytes = concat(records(message, cuts), more);
        deepEqual(found(bytes, parts.filter((cut) => cut < bytes.length)), { name });
      },
    ),
  );
});

Deno.test("ClientHelloReader knows a ClientHello without a name", () => {
  equal(found(records(clientHello({ extensions: undefined }))), "no name");
  fc.assert(
    fc.property(others, (extensions) => equal(found(records(clientHello({ extensions }))), "no name")),
  );
});

Deno.test("ClientHelloReader waits for the end of every ClientHello", () => {
  fc.assert(
    fc.property(names, others, fc.nat(), (name, extensions, at) => {
      const whole = records(
        clientHello({ extensions: [[SERVER_NAME, serverNames([0, name])], ...extensions] }),
      );
      equal(found(whole.subarray(0, at % whole.length)), null);
    }),
  );
});

Deno.test("ClientHelloReader gives an answer to any bytes", () => {
  const isAnswer = (answer: ServerName) =>
    ok(answer === null || typeof answer === "string" || /^[\w.-]{1,253}$/.test(answer.name));
  fc.assert(fc.property(someBytes(2_000), (bytes) => isAnswer(found(bytes))));
  fc.assert(
    fc.property(
      names,
      others,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (name, extensions, changes) => {
        const bytes = records(
          clientHello({ extensions: [...extensions, [SERVER_NAME, serverNames([0, name])]] }),
        );
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        isAnswer(found(bytes));
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("ClientHelloReader refuses what is not a ClientHello as soon as possible", () => {
  const text = (text: string) => new TextEncoder().encode(text);
  const cases: [string, Uint8Array][] = [
    ["HTTP", text("G")],
    ["SSH", text("SSH-2.0")],
    ["SSL 2", Uint8Array.of(0x80, 0x2e, 1)],
    ["another major version", Uint8Array.of(22, 2)],
    ["an alert", Uint8Array.of(21, 3, 3, 0, 2, 2, 40)],
    ["an empty record", Uint8Array.of(22, 3, 1, 0, 0)],
    ["a record that is too long", Uint8Array.of(22, 3, 1, 0x40, 1)],
    ["a ServerHello", records(Uint8Array.of(2, 0, 0, 1, 0))],
    ["a message that is too long", records(Uint8Array.of(1, 0, 0x40, 1))],
  ];
  for (const [what, bytes] of cases) equal(found(bytes), "garbage", what);
});

Deno.test("ClientHelloReader refuses names that are malformed, and a second name", () => {
  const extension = (data: Uint8Array) => records(clientHello({ extensions: [[SERVER_NAME, data]] }));
  for (
    const name of [
      "",
      ".",
      "a.",
      ".a",
      "a..b",
      "a b",
      "a/b",
      "a\0b",
      "::1",
      "[::1]",
      "müller.example",
      "a:443",
      "x".repeat(254),
    ]
  ) {
    equal(found(named(name)), "garbage", JSON.stringify(name));
  }
  deepEqual(found(named("x".repeat(253))), { name: "x".repeat(253) });
  deepEqual(found(named("Intranet_2.example")), { name: "Intranet_2.example" });
  equal(found(extension(new Uint8Array())), "garbage", "an empty extension");
  equal(found(extension(list(2, new Uint8Array()))), "garbage", "no names");
  equal(found(extension(concat(serverNames([0, "a"]), Uint8Array.of(0)))), "garbage", "more after the names");
  equal(found(extension(serverNames([0, "a"], [0, "b"]))), "garbage", "two names");
  deepEqual(found(extension(serverNames([1, "?"], [0, "a"]))), { name: "a" }, "a name of another type");
  const twice = [[SERVER_NAME, serverNames([0, "a"])], [SERVER_NAME, serverNames([0, "b"])]] as const;
  equal(found(records(clientHello({ extensions: twice }))), "garbage", "the extension twice");
});

Deno.test("ClientHelloReader keeps no more than its limit, also of records with one byte", () => {
  const reader = new ClientHelloReader();
  const one = Uint8Array.of(22, 3, 1, 0, 1, 1);
  let answer: ServerName = null;
  let pushed = 0;
  for (; answer === null; pushed += one.length) {
    answer = reader.push(
      pushed < 4 * one.length ? Uint8Array.from([...one.slice(0, 5), [1, 0, 0x3f, 0][pushed / 6]!]) : one,
    );
  }
  equal(answer, "garbage");
  ok(pushed <= MAX_CLIENT_HELLO + one.length, `${pushed} bytes`);
});
