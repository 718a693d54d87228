import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
  NLMSGHDR,
} from "../../../ffi/linux/constants.ts";
import { UapiError } from "../../../core/uapi/lines.ts";
import { attributes, MessageWriter, Reply, viewOf } from "../../../core/client/netlink.ts";

const NONE = new Uint8Array();

/** A message as the kernel would send it. */
function message(
  type: number,
  sequence: number,
  payload: Uint8Array = NONE,
  flags = NLM_F_MULTI,
): Uint8Array {
  const bytes = new MessageWriter(1024, type, flags, payload).finish();
  viewOf(bytes).setUint32(NLMSGHDR.length, NLMSGHDR.size + payload.length, true);
  viewOf(bytes).setUint32(NLMSGHDR.sequence, sequence, true);
  return bytes;
}

function errno(number: number): Uint8Array {
  const payload = new Uint8Array(4);
  viewOf(payload).setInt32(0, -number, true);
  return payload;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function errorOf(what: () => unknown): number {
  try {
    what();
  } catch (error) {
    if (error instanceof UapiError) return error.errno;
    throw error;
  }
  return 0;
}

Deno.test("attributes() reads back what MessageWriter wrote", () => {
  const value = fc.oneof(
    fc.record({ kind: fc.constant("u8" as const), value: fc.nat(0xff) }),
    fc.record({ kind: fc.constant("u16" as const), value: fc.nat(0xffff) }),
    fc.record({ kind: fc.constant("u32" as const), value: fc.nat(0xffffffff) }),
    fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 40 }) }),
    fc.record({ kind: fc.constant("string" as const), value: fc.stringMatching(/^[\w é]{0,20}$/) }),
  );
  const list = fc.array(fc.record({ type: fc.nat(0x3fff), value }), { maxLength: 20 });
  fc.assert(fc.property(list, list, (plain, nested) => {
    const writer = new MessageWriter(4096, NLMSG_MIN_TYPE, 0, NONE);
    const write = ({ type, value }: typeof plain[number]) => {
      if (value.kind === "bytes") writer.bytes(type, value.value);
      else if (value.kind === "string") writer.string(type, value.value);
      else writer[value.kind](type, value.value);
    };
    plain.forEach(write);
    const nest = writer.begin(7);
    nested.forEach(write);
    writer.end(nest);
    const bytes = writer.finish();
    equal(bytes.length % 4, 0);
    const found = [...attributes(bytes.subarray(NLMSGHDR.size))];
    const last = found.pop()!;
    equal(last.type, 7);
    for (const [written, read] of [[plain, found], [nested, [...attributes(last.value)]]] as const) {
      const values = read.map((attribute, i) => {
        const { kind, value } = written[i]!.value;
        const read = kind === "bytes" ? attribute.bytes(value.length) : attribute[kind]();
        return { type: attribute.type, value: { kind, value: read } };
      });
      deepEqual(values, written);
    }
  }));
});

Deno.test("an attribute of another size than it should have is a protocol error", () => {
  const writer = new MessageWriter(64, NLMSG_MIN_TYPE, 0, NONE);
  writer.u16(1, 5);
  const [attribute] = attributes(writer.finish().subarray(NLMSGHDR.size));
  equal(attribute!.u16(), 5);
  for (const read of ["u8", "u32", "u64"] as const) equal(errorOf(() => attribute![read]()), 71);
  equal(errorOf(() => attribute!.bytes(3)), 71);
});

Deno.test("Reply reads a dump of several datagrams up to its end, and ignores other messages", () => {
  const reply = new Reply(7);
  const read = (datagram: Uint8Array) => [...reply.read(datagram)].map((payload) => payload[0]);
  const part = (first: number, sequence = 7) => message(NLMSG_MIN_TYPE, sequence, Uint8Array.of(first, 0, 0));
  deepEqual(read(joined(part(1), part(2, 6), part(3))), [1, 3]);
  equal(reply.ended, false);
  deepEqual(read(message(NLMSG_DONE, 6)), []);
  deepEqual(read(joined(part(4), message(NLMSG_DONE, 7, errno(0)), part(5))), [4]);
  equal(reply.ended, true);
  equal(reply.interrupted, false);
});

Deno.test("Reply reports an interrupted dump, in whichever message the kernel marks it", () => {
  for (const type of [NLMSG_MIN_TYPE, NLMSG_DONE]) {
    const reply = new Reply(1);
    ok([...reply.read(message(type, 1, errno(0), NLM_F_MULTI | NLM_F_DUMP_INTR))]);
    equal(reply.interrupted, true);
  }
});

Deno.test("Reply throws the error at the end of an answer, and treats an acknowledgement as the end", () => {
  for (const type of [NLMSG_ERROR, NLMSG_DONE]) {
    equal(errorOf(() => [...new Reply(1).read(message(type, 1, errno(19)))]), 19);
    const reply = new Reply(1);
    deepEqual([...reply.read(message(type, 1, errno(0)))], []);
    equal(reply.ended, true);
  }
  throws(() => [...new Reply(1).read(message(NLMSG_ERROR, 1))], UapiError);
});

Deno.test("Reply and attributes() throw only UapiError for any datagram", () => {
  const header = fc.tuple(fc.nat(40), fc.constantFrom(NLMSG_ERROR, NLMSG_DONE, NLMSG_MIN_TYPE)).map(
    ([length, type]) => {
      const bytes = message(type, 1);
      viewOf(bytes).setUint32(NLMSGHDR.length, length, true);
      return bytes;
    },
  );
  const datagram = fc.array(fc.oneof(header, fc.uint8Array({ maxLength: 24 }))).map((parts) =>
    joined(...parts)
  );
  fc.assert(
    fc.property(datagram, (bytes) => {
      errorOf(() => {
        for (const payload of new Reply(1).read(bytes)) [...attributes(payload)];
      });
    }),
    { numRuns: 2_000 },
  );
});
