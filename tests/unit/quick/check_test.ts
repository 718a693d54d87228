import { deepEqual, equal, match, ok } from "node:assert/strict";
import fc from "fast-check";
import { checkConfig } from "../../../core/quick/check.ts";

const KEYS = ["xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="];
const check = (text: string | Uint8Array) =>
  checkConfig(typeof text === "string" ? new TextEncoder().encode(text) : text, "a.conf");

Deno.test("checkConfig() reports every wrong line, in order, with what is expected", async () => {
  const { errors } = await check(`PrivateKey = x
[Interface]
Adress = 10.0.0.1
MTU = big
PrivateKey = abc
SaveConfig = perhaps
[Pear]
PublicKey = ${KEYS[0]}
[Peer]
AllowedIPs = 10.0.0.300/32
Endpoint = nowhere
`);
  deepEqual(errors.map(({ line, key }) => [line, key]), [
    [1, "PrivateKey"],
    [3, "Adress"],
    [4, "MTU"],
    [5, "PrivateKey"],
    [6, "SaveConfig"],
    [7, "[Pear]"],
    [9, "[Peer]"],
    [10, "AllowedIPs"],
    [11, "Endpoint"],
  ]);
  for (const { message, hint } of errors) {
    match(message, /./);
    match(hint, /^a\.conf:\d+: \S+: found .*/);
  }
});

Deno.test("checkConfig() accepts only existing features to turn off", async () => {
  const file = (value: string) => `[Interface]\nPrivateKey = ${KEYS[1]}\n# wgd: Disable = ${value}\n`;
  deepEqual((await check(file("udp-gso, wide"))).errors, []);
  const [error, ...more] = (await check(file("udp-gso, fast"))).errors;
  deepEqual(more, []);
  match(error!.hint, /^a\.conf:3: Disable: there are tun-tcp, /);
  match(error!.message, /"fast"/);
});

Deno.test("checkConfig() warns of settings that work but are probably a mistake", async () => {
  const { errors, warnings } = await check(`[Interface]
DNS = example.org
[Peer]
PublicKey = ${KEYS[0]}
AllowedIPs = 10.0.0.2/32, 10.0.0.3/24
[Peer]
PublicKey = ${KEYS[1]}
AllowedIPs = 10.0.0.2/32
[Peer]
PublicKey = ${KEYS[0]}
`);
  deepEqual(errors, []);
  const expected = [
    /nonzero host part/,
    /no PrivateKey/,
    /no Address/,
    /domains only/,
    /two peers/,
    /occurs twice/,
    /no AllowedIPs/,
  ];
  equal(warnings.length, expected.length, warnings.join("\n"));
  expected.forEach((pattern, i) => match(warnings[i]!, pattern));
});

Deno.test("checkConfig() accepts CRLF, a BOM and a missing last line end, and reports invalid bytes", async () => {
  const text = `[Interface]\r\nPrivateKey = ${KEYS[0]}\r\nAddress = 10.0.0.1/24`;
  deepEqual(await check(`\ufeff${text}`), { errors: [], warnings: [] });
  const broken = new Uint8Array([...new TextEncoder().encode(`${text}\r\n# `), 0xe9, 10]);
  deepEqual((await check(broken)).warnings, ["a.conf:4: is not UTF-8; remove the invalid characters"]);
});

Deno.test("checkConfig() does not repeat a megabyte in its advice", async () => {
  const [error] = (await check(`[Interface]\n${"x".repeat(1_000_000)} = 1\n`)).errors;
  ok(error!.hint.length < 400, error!.hint.slice(0, 500));
  equal((await check(`[Interface]\nMTU = ${"x".repeat(1_000_000)}\n`)).errors[0]!.hint.length < 400, true);
  equal(
    (await check(`[Interface]\nAddress = ${"x".repeat(1_000_000)}\n`)).errors[0]!.hint.length < 400,
    true,
  );
  equal(
    (await check(`[Interface]\nPrivateKey = ${"x".repeat(1_000_000)}\n`)).errors[0]!.hint.length < 400,
    true,
  );
});

Deno.test("checkConfig() handles any bytes", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
    for (const { line } of (await check(bytes)).errors) equal(line > 0, true);
  }));
});
