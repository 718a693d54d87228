import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { readDatagram, Socks5, writeDatagram } from "../../../core/proxy/socks5.ts";

const bytes = (...values: (number | string)[]) =>
  Uint8Array.from(
    values.flatMap((value) => typeof value === "number" ? [value] : [...new TextEncoder().encode(value)]),
  );

Deno.test("Socks5 grants a connection to an address or a name", () => {
  for (
    const [address, host] of [
      [[1, 10, 0, 0, 1], "10.0.0.1"],
      [[3, 7, "db.test"], "db.test"],
      [[4, 0xfd, ...new Array(14).fill(0), 1], "fd00::1"],
    ] as const
  ) {
    const socks = new Socks5();
    deepEqual(socks.push(bytes(5, 2, 2, 0)), { reply: bytes(5, 0) });
    const step = socks.push(bytes(5, 1, 0, ...address, 0x01, 0xbb, "early"));
    deepEqual(step, { request: { kind: "connect", target: { host, port: 443 }, first: bytes("early") } });
    deepEqual(socks.granted({ host: "10.0.0.9", port: 258 }), bytes(5, 0, 0, 1, 10, 0, 0, 9, 1, 2));
    deepEqual(socks.refused("refused").slice(0, 2), bytes(5, 5));
    deepEqual(socks.push(bytes("more")), {}, "later bytes do not belong to the protocol");
  }
});

Deno.test("Socks5 requires the configured user and password", () => {
  const credentials = { user: "anna", password: "secret" };
  const right = new Socks5(credentials);
  deepEqual(right.push(bytes(5, 1, 2)), { reply: bytes(5, 2) });
  deepEqual(right.push(bytes(1, 4, "anna", 6, "secret")), { reply: bytes(1, 0) });
  equal(right.push(bytes(5, 3, 0, 1, 0, 0, 0, 0, 0, 0)).request?.kind, "associate");
  for (
    const [user, password] of [["anna", "wrong"], ["bert", "secret"], ["anna", "secre"], ["", ""]] as const
  ) {
    const wrong = new Socks5(credentials);
    wrong.push(bytes(5, 1, 2));
    deepEqual(wrong.push(bytes(1, user.length, user, password.length, password)), {
      reply: bytes(1, 1),
      over: true,
    });
    deepEqual(wrong.push(bytes(5, 1, 0, 1, 10, 0, 0, 1, 0, 80)), {}, "bytes after the end are ignored");
  }
  deepEqual(new Socks5(credentials).push(bytes(5, 1, 0)), { reply: bytes(5, 255), over: true });
  deepEqual(new Socks5().push(bytes(5, 1, 2)), { reply: bytes(5, 255), over: true });
});

Deno.test("Socks5 reports what it does not support", () => {
  const socks = new Socks5();
  socks.push(bytes(5, 1, 0));
  deepEqual(socks.push(bytes(5, 2, 0, 1, 10, 0, 0, 1, 0, 80)), {
    reply: bytes(5, 7, 0, 1, 0, 0, 0, 0, 0, 0),
    over: true,
  });
  const other = new Socks5();
  other.push(bytes(5, 1, 0));
  equal(other.push(bytes(5, 1, 0, 9, 1)).reply?.[1], 8);
  deepEqual(new Socks5().push(bytes(4, 1)), { over: true });
  deepEqual(new Socks5().push(bytes("GET / HTTP/1.1\r\n")), { over: true });
});

Deno.test("Socks5 gives the same result however its input is split", () => {
  const talk = bytes(5, 1, 2, 1, 1, "u", 1, "p", 5, 1, 0, 3, 4, "host", 0, 80, "rest");
  const whole = new Socks5({ user: "u", password: "p" }).push(talk);
  equal(whole.request?.target.host, "host");
  fc.assert(
    fc.property(fc.array(fc.nat(talk.length), { maxLength: 6 }), (cuts) => {
      const socks = new Socks5({ user: "u", password: "p" });
      const places = [0, ...cuts.sort((a, b) => a - b), talk.length];
      const replies: number[] = [];
      let request: unknown;
      let rest: number[] = [];
      for (let i = 1; i < places.length; i++) {
        const part = talk.slice(places[i - 1], places[i]);
        if (request) {
          rest = [...rest, ...part];
          continue;
        }
        const step = socks.push(part);
        replies.push(...step.reply ?? []);
        if (step.request) {
          rest = [...step.request.first];
          request = step.request.target;
        }
      }
      deepEqual([replies, request, rest], [[...whole.reply!], whole.request?.target, [...bytes("rest")]]);
    }),
  );
});

Deno.test("Socks5 accepts any bytes without an exception", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }),
      fc.boolean(),
      (parts, secret) => {
        const socks = new Socks5(secret ? { user: "u", password: "p" } : undefined);
        for (const part of parts) {
          const { request, over } = socks.push(part);
          if (secret && request) throw new Error("without the password");
          if (request || over) return;
        }
      },
    ),
    { numRuns: 5_000 },
  );
});

Deno.test("SOCKS5 datagrams are written and read", () => {
  for (const host of ["10.0.0.1", "fd00::1", "dns.test"]) {
    const datagram = { target: { host, port: 53 }, data: bytes("question") };
    deepEqual(readDatagram(writeDatagram(datagram)), datagram);
  }
  equal(readDatagram(bytes(0, 0, 1, 1, 10, 0, 0, 1, 0, 53)), null, "a fragment");
  equal(readDatagram(bytes(0, 0, 0, 1, 10, 0, 0)), null);
  equal(readDatagram(bytes()), null);
});
