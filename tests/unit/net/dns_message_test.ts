import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  DnsFormatError,
  isDnsName,
  readAnswer,
  RECORD_TYPES,
  type RecordType,
  writeQuestion,
} from "../../../core/net/dns/message.ts";

/** Bytes of a name without compression. */
function name(text: string): number[] {
  const labels = text === "" ? [] : text.split(".");
  return [...labels.flatMap((label) => [label.length, ...new TextEncoder().encode(label)]), 0];
}

const u16 = (value: number) => [value >> 8 & 0xff, value & 0xff];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];

interface Made {
  id?: number;
  flags?: number;
  question?: number[];
  answers?: number[][];
  authorities?: number[][];
}

function message(asked: { id: number; name: string; type: RecordType }, made: Made = {}): Uint8Array {
  const { id = asked.id, flags = 0x8180, answers = [], authorities = [] } = made;
  const question = made.question ?? [...name(asked.name), ...u16(RECORD_TYPES[asked.type]), ...u16(1)];
  return Uint8Array.from([
    ...[id, flags, 1, answers.length, authorities.length, 0].flatMap(u16),
    ...question,
    ...answers.flat(),
    ...authorities.flat(),
  ]);
}

function record(owner: number[], type: RecordType, data: number[], ttl = 300): number[] {
  return [...owner, ...u16(RECORD_TYPES[type]), ...u16(1), ...u32(ttl), ...u16(data.length), ...data];
}

const asked = { id: 0x1234, name: "www.example.test", type: "A" } as const;
/** Where the question's name is. */
const QUESTION = [0xc0, 12];

Deno.test("writeQuestion() writes one question with recursion and the maximum length of the answer", () => {
  const bytes = writeQuestion(0x1234, "www.Example.test.", "AAAA");
  deepEqual(
    [...bytes],
    [
      ...[0x1234, 0x0100, 1, 0, 0, 1].flatMap(u16),
      ...name("www.Example.test"),
      ...u16(28),
      ...u16(1),
      ...[0, ...u16(41), ...u16(1_232), ...u32(0), ...u16(0)],
    ],
  );
});

Deno.test("readAnswer() reads every type of record in the format of Deno.resolveDns()", () => {
  const cases: [RecordType, number[], unknown][] = [
    ["A", [192, 0, 2, 1], "192.0.2.1"],
    ["AAAA", [0xfd, ...new Array(14).fill(0), 1], "fd00::1"],
    ["CNAME", name("a.test"), "a.test"],
    ["PTR", [3, 0x66, 0x6f, 0x6f, ...QUESTION], "foo.www.example.test"],
    ["MX", [...u16(10), ...name("mx.test")], { preference: 10, exchange: "mx.test" }],
    ["SRV", [...[1, 2, 443].flatMap(u16), ...name("s.test")], {
      priority: 1,
      weight: 2,
      port: 443,
      target: "s.test",
    }],
    ["TXT", [2, 0x68, 0x69, 1, 0x21], ["hi", "!"]],
    ["CAA", [128, 5, 0x69, 0x73, 0x73, 0x75, 0x65, 0x61], { critical: true, tag: "issue", value: "a" }],
  ];
  for (const [type, data, expected] of cases) {
    const question = { ...asked, type };
    const answer = readAnswer(message(question, { answers: [record(QUESTION, type, data)] }), question);
    deepEqual(answer?.records, [{ name: asked.name, type, ttl: 300, data: expected }], type);
  }
});

Deno.test("readAnswer() refuses an answer to another question", () => {
  const answers = [record(QUESTION, "A", [192, 0, 2, 1])];
  equal(readAnswer(message(asked, { id: 0x1235, answers }), asked), null);
  equal(readAnswer(message({ ...asked, name: "www.example.org" }, { answers }), asked), null);
  equal(readAnswer(message({ ...asked, type: "AAAA" }, { answers }), asked), null);
  equal(
    readAnswer(message(asked, { flags: 0x0100, answers }), asked),
    null,
    "a question is not taken for an answer",
  );
  equal(readAnswer(message({ ...asked, name: "WWW.example.TEST" }, { answers }), asked)?.records.length, 1);
});

Deno.test("readAnswer() refuses compressed names that loop or leave the message", () => {
  const circle = message(asked, { question: [0xc0, 12, ...u16(1), ...u16(1)] });
  throws(() => readAnswer(circle, asked), DnsFormatError);
  const forward = message(asked, { answers: [record([0xc0, 200], "A", [192, 0, 2, 1])] });
  throws(() => readAnswer(forward, asked), DnsFormatError);
  const two = message(asked, {
    answers: [record(QUESTION, "CNAME", [0xc0, 46]), record(QUESTION, "A", [1, 2, 3, 4])],
  });
  throws(() => readAnswer(two, asked), DnsFormatError);
});

Deno.test("readAnswer() refuses records that exceed their length", () => {
  throws(
    () => readAnswer(message(asked, { answers: [record(QUESTION, "A", [192, 0, 2])] }), asked),
    DnsFormatError,
  );
  throws(
    () => readAnswer(message(asked, { answers: [record(QUESTION, "A", [192, 0, 2, 1, 5])] }), asked),
    DnsFormatError,
  );
  const cut = message(asked, { answers: [record(QUESTION, "A", [192, 0, 2, 1])] });
  for (let length = 0; length < cut.length; length++) {
    throws(() => readAnswer(cut.subarray(0, length), asked), DnsFormatError, `${length} bytes`);
  }
});

Deno.test("readAnswer() returns how long a missing name may be cached", () => {
  const soa = [...name("ns.test"), ...name("root.test"), ...[1, 2, 3, 4, 60].flatMap(u32)];
  const answer = readAnswer(
    message(asked, { flags: 0x8183, authorities: [record(name("example.test"), "SOA", soa)] }),
    asked,
  );
  deepEqual([answer?.code, answer?.records, answer?.negativeTtl], [3, [], 60]);
});

Deno.test("readAnswer() reads any bytes or throws a malformed-message error", () => {
  const answers = [record(QUESTION, "A", [192, 0, 2, 1]), record(QUESTION, "CNAME", name("other.test"))];
  const whole = message(asked, { answers });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }),
      fc.nat(whole.length),
      (changes, length) => {
        const bytes = whole.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          readAnswer(bytes.subarray(0, length), asked);
        } catch (error) {
          if (!(error instanceof DnsFormatError)) throw error;
        }
      },
    ),
    { numRuns: 20_000 },
  );
});

Deno.test("isDnsName() checks the lengths of names and labels", () => {
  for (const text of ["a", "a.", "a.b", "x".repeat(63), `${"x".repeat(63)}.`.repeat(3) + "x".repeat(61)]) {
    equal(isDnsName(text), true, text);
  }
  for (
    const text of ["", ".", "a..b", ".a", "x".repeat(64), `${"x".repeat(63)}.`.repeat(3) + "x".repeat(62)]
  ) {
    equal(isDnsName(text), false, text);
  }
});
