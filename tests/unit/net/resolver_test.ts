import { deepEqual, equal, rejects } from "node:assert/strict";
import { RECORD_TYPES, type RecordType } from "../../../core/net/dns/message.ts";
import { DnsError, type DnsTransport, Resolver } from "../../../core/net/dns/resolver.ts";

/** The name and type of a question. */
function parts(question: Uint8Array): { name: string; type: RecordType; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (; question[at] !== 0; at += 1 + question[at]!) {
    labels.push(new TextDecoder().decode(question.subarray(at + 1, at + 1 + question[at]!)));
  }
  const number = question[at + 1]! << 8 | question[at + 2]!;
  const type = Object.entries(RECORD_TYPES).find(([, value]) => value === number)![0] as RecordType;
  return { name: labels.join("."), type, end: at + 5 };
}

/** An answer with addresses; `flags` as in the header. */
function answerTo(
  question: Uint8Array,
  addresses: readonly (readonly number[])[],
  flags = 0x8180,
  ttl = 60,
): Uint8Array {
  const { end } = parts(question);
  const records = addresses.flatMap((address) => [
    ...[0xc0, 12, 0, address.length === 4 ? 1 : 28, 0, 1, 0, 0, 0, ttl, 0, address.length],
    ...address,
  ]);
  const head = [question[0]!, question[1]!, flags >> 8, flags & 0xff, 0, 1, 0, addresses.length, 0, 0, 0, 0];
  return Uint8Array.from([...head, ...question.subarray(12, end), ...records]);
}

/** The records of each name at each server. Other names do not exist. */
class Zone implements DnsTransport {
  readonly questions: string[] = [];
  time = 0;
  #id = 7;

  constructor(
    readonly names: Record<string, number[][]>,
    readonly behaviour: (server: string, question: Uint8Array) => Uint8Array[] | undefined = () => undefined,
  ) {}

  random(): number {
    return this.#id++;
  }

  now(): number {
    return this.time;
  }

  answer(question: Uint8Array): Uint8Array {
    const { name } = parts(question);
    const addresses = this.names[name];
    return answerTo(question, addresses ?? [], addresses ? 0x8180 : 0x8183);
  }

  async datagram(
    server: string,
    question: Uint8Array,
    taken: (answer: Uint8Array) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { name, type } = parts(question);
    this.questions.push(`${server} ${type} ${name}`);
    await Promise.resolve();
    for (const answer of this.behaviour(server, question) ?? [this.answer(question)]) {
      if (taken(answer)) return;
    }
    throw signal.reason ?? new DOMException("timed out", "TimeoutError");
  }

  stream(server: string, question: Uint8Array): Promise<Uint8Array> {
    this.questions.push(`${server} tcp ${parts(question).name}`);
    return Promise.resolve(this.answer(question));
  }
}

const SERVERS = { servers: ["10.0.0.53", "10.0.0.54"], search: ["corp.test", "test"] };

Deno.test("Resolver tries search domains for a short name, and the name itself first for a long one", async () => {
  const zone = new Zone({ "db.test": [[10, 0, 0, 1]], "a.b": [[10, 0, 0, 2]] });
  const resolver = new Resolver(zone, SERVERS);
  deepEqual((await resolver.resolve("db", "A")).map(({ data }) => data), ["10.0.0.1"]);
  deepEqual(zone.questions, ["10.0.0.53 A db.corp.test", "10.0.0.53 A db.test"]);
  zone.questions.length = 0;
  deepEqual((await resolver.resolve("A.b", "A")).map(({ data }) => data), ["10.0.0.2"]);
  deepEqual(zone.questions, ["10.0.0.53 A a.b"]);
  zone.questions.length = 0;
  await rejects(
    resolver.resolve("db.", "A"),
    (error) => error instanceof DnsError && error.kind === "not found",
  );
  deepEqual(zone.questions, ["10.0.0.53 A db"]);
});

Deno.test("Resolver caches answers for their lifetime, including negative ones", async () => {
  const zone = new Zone({ "a.test": [[10, 0, 0, 1]] });
  const resolver = new Resolver(zone, SERVERS);
  await resolver.resolve("a.test.", "A");
  await resolver.resolve("a.test.", "A");
  equal(zone.questions.length, 1);
  zone.time = 59_999;
  await resolver.resolve("a.test.", "A");
  equal(zone.questions.length, 1);
  zone.time = 60_001;
  await resolver.resolve("a.test.", "A");
  equal(zone.questions.length, 2);
});

Deno.test("Resolver sends one query for identical concurrent lookups", async () => {
  const zone = new Zone({ "a.test": [[10, 0, 0, 1]] });
  const resolver = new Resolver(zone, SERVERS);
  await Promise.all(Array.from({ length: 10 }, () => resolver.resolve("a.test.", "A")));
  equal(zone.questions.length, 1);
});

Deno.test("Resolver tries the next server if one does not answer, and ignores forged answers", async () => {
  const forged = (question: Uint8Array) => {
    const other = answerTo(question, [[6, 6, 6, 6]]);
    other[0]! ^= 0xff;
    return other;
  };
  const zone: Zone = new Zone(
    { "a.test": [[10, 0, 0, 1]] },
    (server, question): Uint8Array[] =>
      server === "10.0.0.53"
        ? [forged(question), new Uint8Array(3)]
        : [forged(question), zone.answer(question)],
  );
  const records = await new Resolver(zone, SERVERS).resolve("a.test.", "A");
  deepEqual(records.map(({ data }) => data), ["10.0.0.1"]);
  deepEqual(zone.questions, ["10.0.0.53 A a.test", "10.0.0.54 A a.test"]);
});

Deno.test("Resolver uses TCP for answers that did not fit", async () => {
  const zone = new Zone({ "a.test": [[10, 0, 0, 1]] }, (_, question) => [answerTo(question, [], 0x8380)]);
  deepEqual((await new Resolver(zone, SERVERS).resolve("a.test.", "A")).map(({ data }) => data), [
    "10.0.0.1",
  ]);
  deepEqual(zone.questions, ["10.0.0.53 A a.test", "10.0.0.53 tcp a.test"]);
});

Deno.test("Resolver reports when no server answers, and tries the others after a refusal", async () => {
  const silent = new Zone({}, () => []);
  await rejects(
    new Resolver(silent, SERVERS).resolve("a.test.", "A"),
    (error) =>
      error instanceof DnsError && error.kind === "failed" &&
      /no answer from 10\.0\.0\.53, 10\.0\.0\.54/.test(error.message),
  );
  const refusing = new Zone(
    { "a.test": [[10, 0, 0, 1]] },
    (server, question) => server === "10.0.0.53" ? [answerTo(question, [], 0x8185)] : undefined,
  );
  equal((await new Resolver(refusing, SERVERS).resolve("a.test.", "A")).length, 1);
  await rejects(new Resolver(new Zone({}), { servers: [], search: [] }).resolve("a", "A"), /no DNS server/);
});

Deno.test("Resolver stops waiting when its signal is aborted", async () => {
  const zone = new Zone({ "a.test": [[10, 0, 0, 1]] });
  const resolver = new Resolver(zone, SERVERS);
  const controller = new AbortController();
  const [first, second] = [
    resolver.resolve("a.test.", "A", controller.signal),
    resolver.resolve("a.test.", "A"),
  ];
  controller.abort(new Error("enough"));
  await rejects(first, /enough/);
  equal((await second).length, 1);
});
