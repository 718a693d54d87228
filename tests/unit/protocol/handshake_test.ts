import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict";
import { Drop } from "../../../core/protocol/drops.ts";
import { type Datagram, handleHandshake, type Host, type Lab, pair, session } from "../../lab.ts";
import { nobleCrypto } from "../../noble_crypto.ts";

const PSK = new Uint8Array(32).fill(0x5a);

/** Public keys that every private key turns into zero: 0, 1, two points of order 8, p-1, p, p+1. */
const LOW_ORDER = [
  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
  "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
  "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
  "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=",
  "7P///////////////////////////////////////38=",
  "7f///////////////////////////////////////38=",
  "7v///////////////////////////////////////38=",
].map((text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));

/** Writes a right mac1 for the receiver into a message that was tampered with. */
function reseal(bytes: Uint8Array, receiver: Host): Uint8Array {
  const label = new TextEncoder().encode("mac1----");
  const key = new Uint8Array(32);
  nobleCrypto.hash(key, label, receiver.device.publicKey!);
  nobleCrypto.mac(bytes.subarray(-32, -16), key, bytes.subarray(0, -32));
  return bytes;
}

/** A message on its way: sent, recorded, and not delivered. */
function intercept(lab: Lab, kind: Datagram["kind"], act: () => void): Datagram {
  const { loses } = lab;
  lab.loses = (datagram) => datagram.kind === kind || loses(datagram);
  lab.record.length = 0;
  act();
  lab.settle();
  lab.loses = loses;
  return lab.record.find((datagram) => datagram.kind === kind)!;
}

for (const presharedKey of [undefined, PSK]) {
  const suffix = presharedKey ? "with a preshared key" : "without a preshared key";
  Deno.test(`handshake ${suffix}: both sides derive the same keys, in opposite order`, () => {
    const { lab, alice, bob } = pair(presharedKey ? { presharedKey } : {});
    alice.send(bob);
    lab.settle();
    const mine = alice.peer(bob).keypairs.current!, theirs = bob.peer(alice).keypairs.current!;
    // deno-lint-ignore no-explicit-any -- looking into the test's own store
    const keys = (host: Host, slot: number) => (host.transport as any).slots.get(slot);
    deepEqual(keys(alice, mine.slot).sendKey, keys(bob, theirs.slot).receiveKey);
    deepEqual(keys(alice, mine.slot).receiveKey, keys(bob, theirs.slot).sendKey);
    notDeepEqual(keys(alice, mine.slot).sendKey, keys(alice, mine.slot).receiveKey);
    deepEqual([mine.initiator, theirs.initiator], [true, false]);
    bob.send(alice);
    lab.settle();
    deepEqual([alice.received.length, bob.received.length], [1, 1]);
  });

  Deno.test(`handshake ${suffix}: traffic is one initiation, one response and the packet itself`, () => {
    const { lab, alice, bob } = pair(presharedKey ? { presharedKey } : {});
    alice.send(bob);
    lab.settle();
    deepEqual(lab.record.map(({ kind, bytes }) => [kind, bytes.length]), [
      ["initiation", 148],
      ["response", 92],
      ["data", 80],
    ]);
    deepEqual([alice.peer(bob).txBytes, alice.peer(bob).rxBytes], [148 + 80, 92]);
    deepEqual([bob.peer(alice).txBytes, bob.peer(alice).rxBytes], [92, 148 + 80]);
  });
}

Deno.test("handshake messages carry AF41, cookie replies no mark", () => {
  const { lab, alice, bob } = pair();
  alice.device.sessions.sendingKeypair(alice.peer(bob), lab.now);
  const output = alice.device.poll();
  ok(output?.kind === "handshake");
  equal(output.tos, 0x88);
  handleHandshake(bob.device, output.bytes, alice.address, true, lab.now);
  const reply = bob.device.poll();
  ok(reply?.kind === "handshake");
  deepEqual([reply.tos, reply.peer], [0, null]);
});

Deno.test("an initiator without data confirms the session with a keepalive", () => {
  const { lab, alice, bob } = pair();
  alice.device.sessions.sendingKeypair(alice.peer(bob), lab.now);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "keepalive"]);
  ok(bob.peer(alice).keypairs.current);
});

Deno.test("different or one-sided preshared keys: the response does not decrypt", () => {
  for (const theirs of [null, new Uint8Array(32).fill(1)]) {
    const { lab, alice, bob } = pair({ presharedKey: PSK });
    bob.device.setPresharedKey(bob.peer(alice), theirs);
    alice.send(bob);
    lab.settle();
    deepEqual(bob.sent(), ["response"]);
    equal(alice.device.drops.of(Drop.BadResponse), 1);
    equal(alice.peer(bob).keypairs.current, null);
  }
});

Deno.test("a changed preshared key leaves the session alone and counts from the next handshake", () => {
  const { lab, alice, bob } = session();
  for (const [host, other] of [[alice, bob], [bob, alice]] as const) {
    host.device.setPresharedKey(host.peer(other), PSK);
  }
  alice.send(bob);
  lab.settle();
  equal(bob.received.length, 2);
  lab.advance(121_000);
  alice.send(bob);
  lab.settle();
  equal(alice.peer(bob).keypairs.current!.born, lab.boot);
});

Deno.test("a flipped bit anywhere in an initiation is refused, with mac1 made right again", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
  // The sender's index is not authenticated by itself: changing it changes where the response goes.
  for (let at = 8; at < 116; at++) {
    const forged = bytes.slice();
    forged[at]! ^= 1 << at % 8;
    bob.receive(reseal(forged, bob), alice.address);
    deepEqual(bob.sent(), [], `byte ${at}`);
  }
  equal(bob.peer(alice).latestTimestamp, null);
  equal(bob.peer(alice).handshake, null);
  equal(bob.peer(alice).rxBytes, 0);
  bob.receive(bytes, alice.address);
  deepEqual(bob.sent(), ["response"]);
});

Deno.test("a flipped bit anywhere in a response is refused and the real one still completes", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "response", () => alice.send(bob));
  alice.sent();
  const handshake = alice.peer(bob).handshake!;
  const before = [handshake.hash.slice(), handshake.chainingKey.slice(), handshake.ephemeral.slice()];
  for (let at = 8; at < 60; at++) {
    const forged = bytes.slice();
    forged[at]! ^= 1 << at % 8;
    alice.receive(reseal(forged, alice), address(bob));
  }
  deepEqual([handshake.hash, handshake.chainingKey, handshake.ephemeral], before);
  deepEqual(alice.sent(), []);
  alice.receive(bytes, address(bob));
  deepEqual(alice.sent(), ["data"]);
});

Deno.test("a thousand forged responses with the right index do not stop the real one", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "response", () => alice.send(bob));
  alice.sent();
  for (let i = 0; i < 1_000; i++) {
    const forged = bytes.slice();
    forged[44 + i % 16]! ^= i >> 4 | 1;
    alice.receive(i % 100 === 0 ? reseal(forged, alice) : forged, address(bob));
  }
  alice.receive(bytes, address(bob));
  deepEqual(alice.sent(), ["data"]);
});

Deno.test("a response is accepted once", () => {
  const { lab, alice, bob } = pair();
  lab.copies = () => 2;
  alice.send(bob);
  lab.settle();
  equal(alice.sent().filter((kind) => kind === "data").length, 1);
  // The copy's index belongs to the keypair by then.
  equal(alice.device.drops.of(Drop.UnknownIndex), 1);
});

Deno.test("a response to an initiation that was repeated since is refused", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "response", () => alice.send(bob));
  lab.loses = ({ kind }) => kind === "initiation";
  lab.advance(5_400);
  alice.sent();
  alice.receive(bytes, address(bob));
  deepEqual(alice.sent(), []);
  equal(alice.device.drops.of(Drop.UnknownIndex), 1);
});

Deno.test("an initiation is accepted once: the same timestamp is a replay", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
  bob.receive(bytes, alice.address);
  lab.advance(1_000);
  bob.sent();
  bob.receive(bytes, alice.address);
  deepEqual(bob.sent(), []);
  equal(bob.device.drops.of(Drop.ReplayedInitiation), 1);
});

Deno.test("an old initiation is a replay even after the keys were erased", () => {
  const { lab, alice, bob } = pair();
  const first = intercept(lab, "initiation", () => alice.send(bob));
  lab.advance(10_000);
  alice.send(bob);
  lab.advance(600_000);
  equal(bob.peer(alice).keypairs.current, null);
  bob.sent();
  bob.receive(first.bytes, alice.address);
  deepEqual(bob.sent(), []);
  equal(bob.device.drops.of(Drop.ReplayedInitiation), 1);
});

Deno.test("a removed peer's timestamps are forgotten with it", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
  bob.receive(bytes, alice.address);
  bob.device.removePeer(bob.peer(alice));
  bob.device.addPeer(alice.device.publicKey!);
  bob.sent();
  bob.receive(bytes, alice.address);
  deepEqual(bob.sent(), ["response"]);
});

Deno.test("initiations of one peer are consumed 20 ms apart or not at all", () => {
  for (const [gap, expected] of [[19, []], [20, ["response"]]] as const) {
    const { lab, alice, bob } = pair();
    const first = intercept(lab, "initiation", () => alice.send(bob));
    const second = intercept(lab, "initiation", () => lab.advance(5_400));
    bob.receive(first.bytes, alice.address);
    lab.advance(gap);
    bob.sent();
    bob.receive(second.bytes, alice.address);
    deepEqual(bob.sent(), expected);
    equal(bob.device.drops.of(Drop.FloodedInitiation), expected.length === 0 ? 1 : 0);
  }
});

Deno.test("an initiation dropped in a flood changes neither its timestamp nor the handshake", () => {
  const { lab, alice, bob } = pair();
  const first = intercept(lab, "initiation", () => alice.send(bob));
  const second = intercept(lab, "initiation", () => lab.advance(5_400));
  bob.receive(first.bytes, alice.address);
  lab.advance(10);
  bob.receive(second.bytes, alice.address);
  lab.advance(20);
  bob.sent();
  bob.receive(second.bytes, alice.address);
  deepEqual(bob.sent(), ["response"]);
});

Deno.test("a wall clock set back by an hour does not lock us out while we run", () => {
  const { lab, alice, bob } = session();
  lab.advance(130_000);
  lab.wall -= 3_600_000_000_000n;
  alice.send(bob);
  lab.settle();
  equal(alice.peer(bob).keypairs.current!.born, lab.boot);
  lab.advance(130_000);
  alice.send(bob);
  lab.settle();
  equal(
    alice.peer(bob).keypairs.current!.born,
    lab.boot,
    "a second handshake succeeds, with a timestamp that is one step later",
  );
});

Deno.test("a wall clock that was in 2099 for a moment does not lock us out while we run", () => {
  const { lab, alice, bob } = pair();
  const today = lab.wall;
  lab.wall = 4_070_908_800_000_000_000n;
  alice.send(bob);
  lab.settle();
  lab.wall = today;
  lab.advance(130_000);
  alice.send(bob);
  lab.settle();
  equal(alice.peer(bob).keypairs.current!.born, lab.boot);
});

Deno.test("a restarted host with an earlier clock is refused until its clock has caught up", () => {
  const { lab, alice, bob } = pair();
  alice.send(bob);
  lab.settle();
  const restarted = lab.host("alice after a crash");
  restarted.device.setPrivateKey(alice.device.privateKey!, lab.now);
  restarted.address = alice.address.slice();
  lab.hosts.splice(lab.hosts.indexOf(alice), 1);
  lab.introduce(restarted, bob);
  lab.wall -= 10_000_000_000n;
  lab.advance(1_000);
  restarted.device.sessions.sendingKeypair(restarted.peer(bob), lab.now);
  lab.advance(8_900);
  ok(bob.device.drops.of(Drop.ReplayedInitiation) > 0);
  equal(restarted.peer(bob).keypairs.current, null);
  lab.advance(10_000);
  ok(restarted.peer(bob).keypairs.current);
});

Deno.test("an initiation from a stranger is not answered", () => {
  const { lab, bob } = pair();
  const mallory = lab.host("mallory");
  const peer = mallory.device.addPeer(bob.device.publicKey!)!;
  mallory.device.setEndpoint(peer, bob.address);
  mallory.device.sessions.sendingKeypair(peer, lab.now);
  lab.settle();
  deepEqual(bob.sent(), []);
  equal(bob.device.drops.of(Drop.UnknownPeer), 1);
});

Deno.test("a datagram of every wrong length is malformed, whatever its type", () => {
  const { lab, bob } = pair();
  let expected = 0;
  for (let type = 0; type < 8; type++) {
    for (let length = 0; length < 200; length++) {
      if ([148, 92, 64][type - 1] === length) continue;
      const bytes = new Uint8Array(length);
      bytes[0] = type;
      handleHandshake(bob.device, bytes, bob.address, false, lab.now);
      expected++;
    }
  }
  equal(bob.device.drops.of(Drop.Malformed), expected);
});

Deno.test("the three reserved bytes have to be zero", () => {
  for (const at of [1, 2, 3]) {
    const { lab, alice, bob } = pair();
    const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
    const forged = bytes.slice();
    forged[at] = 1;
    bob.receive(reseal(forged, bob), alice.address);
    deepEqual(bob.sent(), []);
    equal(bob.device.drops.of(Drop.Malformed), 1);
  }
});

Deno.test("a wrong mac1 is dropped before any other work", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
  bytes[140 - 16]! ^= 1;
  equal(bob.device.handshakes.arrived(bytes, lab.now), false);
  equal(bob.device.drops.of(Drop.BadMac1), 1);
});

Deno.test("peers with a public key of low order never get an initiation", () => {
  for (const key of LOW_ORDER) {
    const { lab, alice, bob } = pair();
    const peer = alice.device.addPeer(key)!;
    alice.device.setEndpoint(peer, bob.address);
    alice.device.setPersistentKeepalive(peer, 1, lab.now);
    lab.advance(60_000);
    deepEqual(alice.sent(), []);
    equal(peer.handshake, null);
    equal(alice.device.peerCount, 2, "the peers stay in the list");
  }
});

Deno.test("an ephemeral key of low order is refused", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
  for (const key of LOW_ORDER) {
    const forged = bytes.slice();
    forged.set(key, 8);
    bob.receive(reseal(forged, bob), alice.address);
  }
  equal(bob.device.drops.of(Drop.LowOrder), LOW_ORDER.length);
  deepEqual(bob.sent(), []);
});

Deno.test("a response with an ephemeral key of low order is refused and the real one completes", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "response", () => alice.send(bob));
  alice.sent();
  for (const key of LOW_ORDER) {
    const forged = bytes.slice();
    forged.set(key, 12);
    alice.receive(reseal(forged, alice), address(bob));
  }
  equal(alice.device.drops.of(Drop.LowOrder), LOW_ORDER.length);
  alice.receive(bytes, address(bob));
  deepEqual(alice.sent(), ["data"]);
});

Deno.test("simultaneous initiations both complete: data flows after one round trip", () => {
  const { lab, alice, bob } = pair();
  lab.delay = () => 100;
  const rounds = Deno.env.get("WGD_TEST_FULL") ? 1_000 : 50;
  for (let round = 0; round < rounds; round++) {
    const before = [alice.received.length, bob.received.length];
    alice.send(bob);
    bob.send(alice);
    lab.advance(300);
    deepEqual(
      [alice.received.length, bob.received.length],
      [before[0]! + 1, before[1]! + 1],
      `round ${round}`,
    );
    lab.advance(600_000);
  }
});

Deno.test("simultaneous initiations recover when any one of the first messages is lost", () => {
  for (let lost = 0; lost < 6; lost++) {
    for (let seed = 1; seed <= 5; seed++) {
      const { lab, alice, bob } = pair({ seed });
      let sent = 0;
      lab.delay = () => 100;
      lab.loses = () => sent++ === lost;
      alice.send(bob);
      bob.send(alice);
      lab.advance(6_000);
      // A lost data packet stays lost, so ask with new ones.
      alice.send(bob);
      bob.send(alice);
      lab.advance(300);
      ok(alice.received.length >= 1 && bob.received.length >= 1, `message ${lost}, seed ${seed}`);
    }
  }
});

Deno.test("our own initiation is forgotten when the peer's handshake is confirmed", () => {
  const { lab, alice, bob } = pair();
  const response = intercept(lab, "response", () => alice.send(bob));
  bob.device.down();
  bob.device.up(lab.now);
  bob.send(alice);
  lab.settle();
  ok(alice.peer(bob).keypairs.current);
  equal(alice.peer(bob).handshake, null);
  alice.receive(response.bytes, address(bob));
  equal(alice.device.drops.of(Drop.UnknownIndex), 1);
});

Deno.test("a response that takes four seconds still completes", () => {
  const { lab, alice, bob } = pair();
  lab.delay = ({ kind }) => kind === "response" ? 4_000 : 0;
  alice.send(bob);
  lab.advance(4_000);
  equal(bob.received.length, 1);
});

Deno.test("handshakes complete over a wire that loses half of everything, reorders and duplicates", () => {
  const { lab, alice, bob } = pair({ seed: 7 });
  let state = 1;
  const dice = () => (state = state * 48271 % 0x7fffffff) / 0x7fffffff;
  lab.loses = () => dice() < 0.5;
  lab.delay = () => dice() * 700;
  lab.copies = () => dice() < 0.1 ? 2 : 1;
  for (let minute = 0; minute < 60; minute++) {
    alice.send(bob);
    bob.send(alice);
    lab.advance(60_000);
  }
  ok(bob.received.length > 15 && bob.received.length <= 60, `${bob.received.length} arrived`);
  ok(alice.received.length > 15 && alice.received.length <= 60, `${alice.received.length} arrived`);
});

Deno.test("a restarted peer is reachable again at once if it sends first", () => {
  const { lab, alice, bob } = session();
  bob.device.down();
  bob.device.up(lab.now);
  bob.send(alice);
  lab.settle();
  equal(alice.received.length, 1);
});

Deno.test("a restarted peer that only listens is reachable again 15.4 s after the first unanswered packet", () => {
  const { lab, alice, bob } = session();
  bob.device.down();
  bob.device.up(lab.now);
  alice.send(bob);
  lab.advance(15_400);
  alice.send(bob);
  lab.settle();
  equal(bob.received.length, 2);
});

Deno.test("an interface that is down receives and sends nothing", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
  bob.device.down();
  bob.receive(bytes, alice.address);
  equal(bob.device.drops.of(Drop.NotReady), 1);
  bob.send(alice);
  lab.advance(60_000);
  deepEqual(bob.sent(), []);
});

Deno.test("without a private key handshakes are dropped, not made", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "initiation", () => alice.send(bob));
  bob.device.setPrivateKey(null, lab.now);
  bob.receive(bytes, alice.address);
  equal(bob.device.drops.of(Drop.NotReady), 1);
  bob.device.sessions.sendingKeypair(bob.device.peers[Symbol.iterator]().next().value!, lab.now);
  lab.settle();
  deepEqual(bob.sent(), []);
});

Deno.test("secrets of a handshake are zeroed when it has become a session", () => {
  const { lab, alice, bob } = pair();
  const { bytes } = intercept(lab, "response", () => alice.send(bob));
  const handshake = alice.peer(bob).handshake!;
  alice.receive(bytes, address(bob));
  for (const secret of [handshake.hash, handshake.chainingKey, handshake.ephemeral]) {
    deepEqual(secret, new Uint8Array(32));
  }
  equal(alice.peer(bob).handshake, null);
});

function address(host: Host): Uint32Array {
  return host.address.slice();
}
