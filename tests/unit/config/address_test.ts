import { deepEqual, equal } from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { formatAddress, parseAddress, parseIPv4, parseIPv6 } from "../../../core/config/address.ts";
import { formatPrefix, hasHostPart, makePrefix, parsePrefix } from "../../../core/config/prefix.ts";
import { formatSocketAddress, parseSocketAddress, splitEndpoint } from "../../../core/config/endpoint.ts";

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const ipv6 = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.array(fc.constantFrom(0, 0, 0, 0, 1, 0x10, 0xff), { minLength: 16, maxLength: 16 }).map((a) =>
    Uint8Array.from(a)
  ),
);
const address = fc.oneof(ipv4, ipv6);

Deno.test("formatAddress() writes IPv6 as glibc's inet_ntop", () => {
  const cases: [string, string][] = [
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["0:0:0:0:0:0:0:ffff", "::ffff"],
    ["0:0:0:0:0:0:1:0", "::0.1.0.0"],
    ["0:0:0:0:0:0:102:304", "::1.2.3.4"],
    ["0:0:0:0:0:ffff:102:304", "::ffff:1.2.3.4"],
    ["0:0:0:0:ffff:0:102:304", "::ffff:0:102:304"],
    ["0:0:0:0:0:fffe:102:304", "::fffe:102:304"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
    ["1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"],
    ["2001:db8:0:0:0:0:0:abc", "2001:db8::abc"],
    ["0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"],
    ["1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"],
  ];
  for (const [groups, text] of cases) equal(formatAddress(parseIPv6(groups)!), text);
});

Deno.test("parseAddress() reads back what formatAddress() wrote", () => {
  fc.assert(fc.property(address, (bytes) => deepEqual(parseAddress(formatAddress(bytes)), bytes)), {
    numRuns: 2000,
  });
});

Deno.test("parseIPv4() and parseIPv6() accept exactly what node:net accepts", () => {
  const almost = fc.string({ unit: fc.constantFrom(..."00123459afAFg:::....% "), maxLength: 24 });
  const mutated = fc.tuple(address, fc.nat(40), fc.constantFrom(..."0:.f9"), fc.nat(1)).map(
    ([bytes, place, character, dropped]) => {
      const text = formatAddress(bytes);
      return text.slice(0, place) + character + text.slice(place + dropped);
    },
  );
  fc.assert(
    fc.property(fc.oneof(almost, mutated), (text) => {
      equal(parseIPv4(text) !== null, isIPv4(text), text);
      // node accepts a scope, which we parse separately.
      equal(parseIPv6(text) !== null, isIPv6(text) && !text.includes("%"), text);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("makePrefix() clears host bits, and hasHostPart() returns whether there were any", () => {
  fc.assert(fc.property(address, fc.nat(128), (bytes, some) => {
    const length = some % (bytes.length * 8 + 1);
    const bits = (a: Uint8Array) => [...a].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    const prefix = makePrefix(bytes.slice(), length);
    equal(bits(prefix.address), bits(bytes).slice(0, length).padEnd(bytes.length * 8, "0"));
    equal(hasHostPart(bytes, length), bits(bytes).slice(length).includes("1"));
    deepEqual(parsePrefix(formatPrefix(prefix)), prefix);
  }));
});

Deno.test("parsePrefix() accepts an address without a length and refuses wrong lengths", () => {
  equal(formatPrefix(parsePrefix("10.0.0.1")!), "10.0.0.1/32");
  equal(formatPrefix(parsePrefix("fd00::1")!), "fd00::1/128");
  equal(formatPrefix(parsePrefix("10.1.2.3/08")!), "10.0.0.0/8");
  for (
    const text of [
      "10.0.0.1/",
      "10.0.0.1/33",
      "::/129",
      "10.0.0.1/-1",
      "10.0.0.1/8/8",
      "/8",
      "",
      "10.0.0.1/ 8",
    ]
  ) {
    equal(parsePrefix(text), null, text);
  }
});

Deno.test("splitEndpoint() splits at the last colon, or behind the bracket", () => {
  const cases: [string, string | [string, string]][] = [
    ["example.com:51820", ["example.com", "51820"]],
    ["::1:51820", ["::1", "51820"]],
    ["[::1]:51820", ["::1", "51820"]],
    ["[::1%eth0]:domain", ["::1%eth0", "domain"]],
    [":5", ["", "5"]],
    ["[]:5", ["", "5"]],
    ["[::1", "brace"],
    ["[::1]", "port"],
    ["[::1]:", "port"],
    ["[::1]5", "port"],
    ["example.com", "port"],
    ["example.com:", "port"],
  ];
  for (const [text, expected] of cases) {
    const split = splitEndpoint(text);
    deepEqual(typeof split === "string" ? split : [split.host, split.port], expected, text);
  }
});

Deno.test("parseSocketAddress() reads back what formatSocketAddress() wrote", () => {
  fc.assert(fc.property(address, fc.nat(65535), (bytes, port) => {
    const endpoint = { family: bytes.length === 4 ? 4 as const : 6 as const, address: bytes, port, scope: 0 };
    deepEqual(parseSocketAddress(formatSocketAddress(endpoint)), endpoint);
  }));
});

Deno.test("parseSocketAddress() takes numbers only, IPv6 in brackets", () => {
  const texts = [
    "::1:5",
    "[1.2.3.4]:5",
    "1.2.3.4:65536",
    "1.2.3.4:",
    "1.2.3.4",
    "localhost:5",
    "[::1]:domain",
    "[::1%]:5",
  ];
  for (const text of [...texts, "[::1%eth0]:5", "1.2.3.4%1:5", "127.1:5", "1.2.3.4: 5"]) {
    equal(parseSocketAddress(text), null, text);
  }
});

Deno.test("scopes are names for link-local addresses and numbers for all", () => {
  const index = (name: string) => name === "eth0" ? 7 : 0;
  const name = (index: number) => index === 7 ? "eth0" : String(index);
  equal(parseSocketAddress("[fe80::1%eth0]:5", index)?.scope, 7);
  equal(parseSocketAddress("[ff02::1%eth0]:5", index)?.scope, 7);
  equal(parseSocketAddress("[fe80::1%9]:5", index)?.scope, 9);
  equal(parseSocketAddress("[fd00::1%9]:5", index)?.scope, 9);
  equal(parseSocketAddress("[fd00::1%eth0]:5", index), null);
  equal(parseSocketAddress("[fe80::1%eth1]:5", index), null);
  const endpoint = parseSocketAddress("[fe80::1%7]:5")!;
  equal(formatSocketAddress(endpoint), "[fe80::1%7]:5");
  equal(formatSocketAddress(endpoint, name), "[fe80::1%eth0]:5");
  equal(formatSocketAddress(parseSocketAddress("[fd00::1%7]:5")!, name), "[fd00::1%7]:5");
});
