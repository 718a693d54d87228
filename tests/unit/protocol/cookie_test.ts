import { deepEqual, equal, ok } from "node:assert/strict";
import type { Milliseconds } from "../../../core/protocol/clock.ts";
import { CookieChecker, CookieJar } from "../../../core/protocol/cookie.ts";
import { Drop } from "../../../core/protocol/drops.ts";
import type { EndpointWords } from "../../../core/protocol/endpoint.ts";
import { address4, address6, handleHandshake, pair, seededRandom, session } from "../../lab.ts";
import { nobleCrypto } from "../../noble_crypto.ts";

const PUBLIC_KEY = new Uint8Array(32).fill(9);
const HERE = address4([192, 0, 2, 1], 51820);
const at = (milliseconds: number) => milliseconds as Milliseconds;

function bothSides() {
  const checker = new CookieChecker(nobleCrypto, seededRandom(3));
  checker.setPublicKey(PUBLIC_KEY);
  return { checker, jar: new CookieJar(nobleCrypto, PUBLIC_KEY) };
}

/** A message of which only the MACs matter. */
function message(seed: number, length = 148): Uint8Array {
  const bytes = new Uint8Array(length);
  seededRandom(seed)(bytes);
  return bytes;
}

/** A jar that has a cookie for `from`, made at `born`. */
function withCookie(from: EndpointWords, born: Milliseconds) {
  const { checker, jar } = bothSides();
  const first = message(1);
  jar.addMacs(first, born);
  ok(jar.consumeReply(checker.createReply(first, from, born), born));
  return { checker, jar };
}

Deno.test("CookieJar.addMacs() writes a mac1 that CookieChecker accepts, and no mac2 without a cookie", () => {
  const { checker, jar } = bothSides();
  for (let seed = 1; seed <= 6; seed++) {
    const bytes = message(seed, seed % 2 ? 148 : 92);
    jar.addMacs(bytes, at(0));
    ok(checker.mac1IsValid(bytes));
    deepEqual(bytes.subarray(-16), new Uint8Array(16));
    equal(checker.mac2IsValid(bytes, HERE, at(0)), false);
  }
});

Deno.test("CookieChecker.mac1IsValid() sees a flipped bit anywhere but in mac2", () => {
  const { checker, jar } = bothSides();
  const bytes = message(1);
  jar.addMacs(bytes, at(0));
  for (let i = 0; i < bytes.length; i++) {
    const forged = bytes.slice();
    forged[i]! ^= 0x20;
    equal(checker.mac1IsValid(forged), i >= 132, `byte ${i}`);
  }
});

Deno.test("CookieChecker.mac2IsValid() sees a flipped bit anywhere, mac1 included", () => {
  const { checker, jar } = withCookie(HERE, at(0));
  const bytes = message(2);
  jar.addMacs(bytes, at(0));
  ok(checker.mac2IsValid(bytes, HERE, at(0)));
  for (let i = 0; i < bytes.length; i++) {
    const forged = bytes.slice();
    forged[i]! ^= 0x20;
    equal(checker.mac2IsValid(forged, HERE, at(0)), false, `byte ${i}`);
  }
});

Deno.test("a cookie is for one address and port of one family", () => {
  const six = address6(Uint8Array.from({ length: 16 }, (_, i) => i + 1), 51820);
  for (const from of [HERE, six]) {
    const { checker, jar } = withCookie(from, at(0));
    const bytes = message(2);
    jar.addMacs(bytes, at(0));
    ok(checker.mac2IsValid(bytes, from, at(0)));
    for (const [word, bits] of [[0, 2], [1, 1], [1, 256], [2, 1], [2, 1 << 31]] as const) {
      const elsewhere = from.slice();
      elsewhere[word]! ^= bits;
      equal(checker.mac2IsValid(bytes, elsewhere, at(0)), false, `word ${word}`);
    }
    const last = from.slice();
    last[5]! ^= 1 << 31;
    equal(checker.mac2IsValid(bytes, last, at(0)), from === HERE, "an IPv4 address is one word");
    const source = from.slice();
    source.fill(1, 6);
    ok(checker.mac2IsValid(bytes, source, at(0)), "our own address does not count");
  }
});

Deno.test("a cookie is used until it is 115 s old and not at 115 s", () => {
  const { jar } = withCookie(HERE, at(1_000));
  for (const [age, used] of [[0, true], [114_999, true], [115_000, false]] as const) {
    const bytes = message(2);
    jar.addMacs(bytes, at(1_000 + age));
    equal(bytes.subarray(-16).some((byte) => byte !== 0), used, `age ${age}`);
  }
});

Deno.test("the secret behind cookies is renewed when it is used at an age of 120 s", () => {
  for (const [age, valid] of [[119_999, true], [120_000, false]] as const) {
    const { checker, jar } = withCookie(HERE, at(0));
    const bytes = message(2);
    jar.addMacs(bytes, at(0));
    equal(checker.mac2IsValid(bytes, HERE, at(age)), valid, `age ${age}`);
  }
});

Deno.test("CookieJar.consumeReply() refuses a reply to another message, a tampered one, and one for another key", () => {
  const { checker, jar } = bothSides();
  const sent = message(1), other = message(2);
  new CookieJar(nobleCrypto, PUBLIC_KEY).addMacs(other, at(0));
  jar.addMacs(sent, at(0));
  equal(jar.consumeReply(checker.createReply(other, HERE, at(0)), at(0)), false);
  const reply = checker.createReply(sent, HERE, at(0));
  for (let i = 8; i < 64; i++) {
    const forged = reply.slice();
    forged[i]! ^= 1;
    equal(jar.consumeReply(forged, at(0)), false, `byte ${i}`);
  }
  const stranger = new CookieChecker(nobleCrypto, seededRandom(4));
  stranger.setPublicKey(new Uint8Array(32).fill(8));
  equal(jar.consumeReply(stranger.createReply(sent, HERE, at(0)), at(0)), false);
  ok(jar.awaitsReply);
  ok(jar.consumeReply(reply, at(0)));
  equal(jar.awaitsReply, false);
});

Deno.test("a cookie reply is 64 bytes: type 3, the sender's index, a fresh nonce", () => {
  const { checker, jar } = bothSides();
  const sent = message(1);
  jar.addMacs(sent, at(0));
  const first = checker.createReply(sent, HERE, at(0)), second = checker.createReply(sent, HERE, at(0));
  equal(first.length, 64);
  deepEqual([...first.subarray(0, 4)], [3, 0, 0, 0]);
  deepEqual(first.subarray(4, 8), sent.subarray(4, 8));
  ok(first.subarray(8, 32).some((byte, i) => byte !== second[8 + i]));
});

Deno.test("under load an initiation gets a cookie, and passes with it when it is repeated", () => {
  const { lab, alice, bob } = pair();
  bob.underLoad = true;
  alice.send(bob);
  lab.settle();
  deepEqual(bob.sent(), ["cookie"]);
  deepEqual(alice.sent(), ["initiation"], "a cookie is not answered");
  equal(bob.device.drops.of(Drop.NeedsCookie), 1);
  lab.advance(5_400);
  deepEqual(alice.sent(), ["initiation", "data"]);
  deepEqual(bob.sent(), ["response"]);
});

Deno.test("under load a response gets a cookie too, and the next initiation is answered with mac2", () => {
  const { lab, alice, bob } = pair();
  alice.underLoad = true;
  alice.send(bob);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "cookie"]);
  lab.advance(5_400);
  deepEqual(bob.sent(), ["response", "response"]);
  equal(bob.received.length, 1);
});

Deno.test("without load, mac2 is not checked", () => {
  const { lab, alice, bob } = pair();
  alice.device.sessions.sendingKeypair(alice.peer(bob), lab.now);
  const output = alice.device.poll();
  ok(output?.kind === "handshake");
  output.bytes.fill(0xee, 132);
  bob.receive(output.bytes, alice.address);
  deepEqual(bob.sent(), ["response"]);
});

Deno.test("a cookie reply neither moves the endpoint nor a timer nor counts as received", () => {
  const { lab, alice, bob } = pair();
  bob.underLoad = true;
  lab.loses = ({ kind }) => kind === "cookie";
  alice.send(bob);
  lab.settle();
  const reply = lab.record.find(({ kind }) => kind === "cookie")!;
  const peer = alice.peer(bob);
  const before = { ...peer, endpoint: peer.endpoint!.slice(), deadline: alice.device.nextDeadline() };
  alice.receive(reply.bytes, address4([203, 0, 113, 66], 666));
  ok(!peer.cookieJar!.awaitsReply, "the cookie reply was accepted");
  deepEqual({ ...peer, endpoint: peer.endpoint!.slice(), deadline: alice.device.nextDeadline() }, before);
});

Deno.test("a cookie reply is accepted once", () => {
  const { lab, alice, bob } = pair();
  bob.underLoad = true;
  lab.copies = ({ kind }) => kind === "cookie" ? 2 : 1;
  alice.send(bob);
  lab.settle();
  equal(alice.device.drops.of(Drop.UnexpectedCookie), 1);
});

Deno.test("a cookie reply for an unknown index is dropped", () => {
  const { lab, alice } = session();
  const reply = new Uint8Array(64);
  reply[0] = 3;
  handleHandshake(alice.device, reply, HERE, false, lab.now);
  equal(alice.device.drops.of(Drop.UnknownIndex), 1);
});

Deno.test("a cookie reply for a keypair's index is accepted, because a response may have been refused", () => {
  const { lab, alice, bob } = pair();
  alice.underLoad = true;
  lab.loses = ({ kind }) => kind === "data";
  alice.send(bob);
  lab.settle();
  equal(bob.peer(alice).cookieJar!.awaitsReply, false);
  equal(bob.device.drops.counts.reduce((sum, count) => sum + count), 0);
});

Deno.test("under load, one source is served 5 messages at once and then 20 per second, and others are not affected", () => {
  const { lab, alice, bob } = pair();
  bob.underLoad = true;
  alice.send(bob);
  lab.settle();
  alice.sent();
  bob.sent();
  // The same message with its right mac2 again and again: it fails as a replay, after the limiter let it through.
  const peer = alice.peer(bob);
  const again = () => {
    const bytes = lab.record[0]!.bytes.slice();
    peer.cookieJar!.addMacs(bytes, lab.now.boot);
    handleHandshake(bob.device, bytes, alice.address, true, lab.now);
  };
  for (let i = 0; i < 8; i++) again();
  equal(bob.device.drops.of(Drop.RateLimited), 3);
  lab.advance(50);
  again();
  again();
  equal(bob.device.drops.of(Drop.RateLimited), 4);
  equal(bob.device.drops.of(Drop.NeedsCookie), 1);
});

Deno.test("a thousand handshakes over days, and never a cookie without load", () => {
  const { lab, alice, bob } = pair();
  const rounds = Deno.env.get("WGD_TEST_FULL") ? 1_000 : 100;
  for (let round = 0; round < rounds; round++) {
    alice.send(bob);
    lab.advance(200_000);
  }
  equal(lab.record.filter(({ kind }) => kind === "response").length, rounds);
  equal(lab.record.some(({ kind }) => kind === "cookie"), false);
});
