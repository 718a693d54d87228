import { deepEqual, equal, ok } from "node:assert/strict";
import { type Host, type Kind, type Lab, pair, session } from "../../lab.ts";

/** When datagrams of a kind were sent, in milliseconds since `start`. */
function times(lab: Lab, sender: Host, kind: Kind, start: number): number[] {
  return lab.record.filter((datagram) => datagram.sender === sender && datagram.kind === kind)
    .map(({ sentAt }) => sentAt - start);
}

/** Two hosts of which one sends into the void. */
function unanswered(jitter: number) {
  const { lab, alice, bob } = pair();
  alice.jitter = jitter;
  lab.loses = () => true;
  alice.send(bob);
  return { lab, alice, bob, start: lab.boot };
}

Deno.test("retransmit: an unanswered initiation is repeated after exactly 5 s without jitter", () => {
  const { lab, alice } = unanswered(0);
  deepEqual(alice.sent(), ["initiation"]);
  lab.advance(4_999);
  deepEqual(alice.sent(), []);
  lab.advance(1);
  deepEqual(alice.sent(), ["initiation"]);
});

Deno.test("retransmit: an unanswered initiation is repeated after exactly 5.333 s with the most jitter", () => {
  const { lab, alice } = unanswered(1);
  alice.sent();
  lab.advance(5_332);
  deepEqual(alice.sent(), []);
  lab.advance(1);
  deepEqual(alice.sent(), ["initiation"]);
});

Deno.test("retransmit: jitter is spread over 0 to 333 ms", () => {
  const seen: number[] = [];
  for (let seed = 1; seed <= 30; seed++) {
    const { lab, alice, bob } = pair({ seed });
    lab.loses = () => true;
    alice.send(bob);
    lab.advance(80_000);
    const at = times(lab, alice, "initiation", 0);
    for (let i = 1; i < at.length; i++) seen.push(at[i]! - at[i - 1]! - 5_000);
  }
  ok(seen.every((jitter) => jitter >= 0 && jitter <= 333));
  ok(Math.min(...seen) < 20 && Math.max(...seen) > 313);
  const mean = seen.reduce((sum, jitter) => sum + jitter) / seen.length;
  ok(mean > 140 && mean < 193, `mean ${mean}`);
});

Deno.test("retransmit: gives up after 20 initiations and drops what was staged", () => {
  const { lab, alice, bob, start } = unanswered(0);
  lab.advance(99_999);
  equal(alice.peer(bob).stagedCount, 1);
  lab.advance(1);
  equal(alice.peer(bob).stagedCount, 0);
  lab.advance(3_600_000);
  deepEqual(times(lab, alice, "initiation", start), Array.from({ length: 20 }, (_, i) => i * 5_000));
});

Deno.test("retransmit: a packet after giving up starts afresh with 20 initiations", () => {
  const { lab, alice, bob } = unanswered(0);
  lab.advance(200_000);
  lab.record.length = 0;
  const start = lab.boot;
  alice.send(bob);
  lab.advance(200_000);
  deepEqual(times(lab, alice, "initiation", start), Array.from({ length: 20 }, (_, i) => i * 5_000));
});

Deno.test("retransmit: a packet while it runs starts the count of 20 afresh", () => {
  const { lab, alice, bob } = unanswered(0);
  lab.advance(50_000);
  alice.send(bob);
  lab.advance(200_000);
  equal(times(lab, alice, "initiation", 0).length, 30);
});

Deno.test("retransmit: a peer with persistent keepalive retries for ever", () => {
  const { lab, alice, bob } = pair();
  alice.device.setPersistentKeepalive(alice.peer(bob), 25, lab.now);
  lab.loses = () => true;
  lab.advance(3_600_000);
  const at = times(lab, alice, "initiation", lab.boot - 3_600_000);
  const gaps = at.slice(1).map((time, i) => time - at[i]!);
  ok(Math.max(...gaps) <= 25_000, `longest gap ${Math.max(...gaps)}`);
  lab.loses = () => false;
  lab.advance(25_400);
  deepEqual(bob.sent(), ["response"], "the tunnel recovers without any traffic");
});

Deno.test("retransmit: is delayed until 5 s after our last response, and not skipped", () => {
  const { lab, alice, bob } = pair();
  alice.jitter = 0;
  lab.loses = ({ sender }) => sender === alice;
  alice.send(bob);
  lab.advance(1_000);
  bob.send(alice);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "response"]);
  lab.loses = () => true;
  lab.advance(4_999);
  deepEqual(alice.sent(), []);
  lab.advance(1);
  deepEqual(alice.sent(), ["initiation"]);
});

Deno.test("retransmit: clears the cached source address", () => {
  const { lab, alice, bob } = unanswered(0);
  const endpoint = alice.peer(bob).endpoint!;
  endpoint.fill(7, 7);
  lab.advance(5_000);
  deepEqual([...endpoint.subarray(7)], [0, 0, 0, 0, 0]);
});

Deno.test("giving up arms the erasure of what the handshake left, 540 s later", () => {
  const { lab, alice, bob } = unanswered(0);
  lab.advance(100_000);
  lab.advance(539_999);
  ok(alice.peer(bob).handshake);
  lab.advance(1);
  equal(alice.peer(bob).handshake, null);
});

Deno.test("giving up does not put off the erasure of a session's keys", () => {
  const { lab, alice, bob } = session();
  lab.loses = () => true;
  lab.advance(300_000);
  alice.send(bob);
  lab.advance(239_999);
  ok(alice.peer(bob).keypairs.current);
  lab.advance(1);
  equal(alice.peer(bob).keypairs.current, null);
});

Deno.test("dataReceived() causes one keepalive after exactly 10 s without sending", () => {
  const { lab, alice, bob } = session();
  lab.advance(1_000);
  lab.advance(20_000);
  bob.sent();
  alice.send(bob);
  lab.settle();
  lab.advance(9_999);
  deepEqual(bob.sent(), []);
  lab.advance(1);
  deepEqual(bob.sent(), ["keepalive"]);
  lab.advance(60_000);
  deepEqual(bob.sent(), []);
});

Deno.test("dataReceived() while a keepalive is pending is answered by that keepalive", () => {
  const { lab, alice, bob } = session();
  lab.advance(30_000);
  bob.sent();
  alice.send(bob);
  lab.advance(4_000);
  alice.send(bob);
  lab.advance(6_000);
  deepEqual(bob.sent(), ["keepalive"]);
  lab.advance(60_000);
  deepEqual(bob.sent(), [], "no second keepalive is sent, as by wireguard-go and the kernel");
});

Deno.test("dataReceived() while a keepalive is pending causes another one, if the first is not sent", () => {
  for (const [batches, keepalives] of [[[1], 1], [[2], 2], [[1, 1], 2], [[1, 1, 1], 2]] as const) {
    const { lab, alice, bob } = session();
    lab.advance(30_000);
    const peer = bob.peer(alice);
    for (const packets of batches) {
      bob.device.sessions.dataReceived(
        peer.keypairs.current!,
        packets,
        0,
        96 * packets,
        alice.address,
        lab.now,
      );
    }
    let due = 0;
    for (let second = 0; second < 60; second++) {
      lab.suspend(1_000);
      bob.device.handleTimeout(lab.now);
      while (bob.device.poll()?.kind === "keepalive") due++;
    }
    equal(due, keepalives);
  }
});

Deno.test("any packet sent cancels the pending keepalive", () => {
  const { lab, alice, bob } = session();
  lab.advance(30_000);
  bob.sent();
  alice.send(bob);
  lab.advance(9_999);
  bob.send(alice);
  deepEqual(bob.sent(), ["data"]);
  lab.advance(5_000);
  deepEqual(bob.sent(), []);
});

Deno.test("a keepalive is never answered with a keepalive", () => {
  const { lab, alice, bob } = session();
  alice.device.setPersistentKeepalive(alice.peer(bob), 5, lab.now);
  lab.advance(100_000);
  ok(alice.sent().every((kind) => kind === "keepalive"));
  deepEqual(bob.sent(), ["keepalive"], "the one keepalive answers the packet that began the session");
});

Deno.test("dataSent(): 15 s without an answer start a new handshake, with its own jitter", () => {
  for (const [jitter, deadline] of [[0, 15_000], [1, 15_333]] as const) {
    const { lab, alice, bob } = session();
    lab.advance(30_000);
    alice.jitter = jitter;
    lab.loses = () => true;
    alice.sent();
    alice.send(bob);
    lab.advance(1_000);
    alice.send(bob);
    deepEqual(alice.sent(), ["data", "data"]);
    lab.advance(deadline - 1_001);
    deepEqual(alice.sent(), [], "later packets do not delay the deadline of the first packet");
    lab.advance(1);
    deepEqual(alice.sent(), ["initiation"]);
  }
});

Deno.test("dataSent(): any authenticated packet received cancels the new handshake", () => {
  const { lab, alice, bob } = session();
  lab.advance(30_000);
  alice.send(bob);
  lab.settle();
  alice.sent();
  lab.advance(60_000);
  deepEqual(alice.sent(), [], "bob's keepalive after 10 s has stopped the timer");
});

Deno.test("dataSent(): the new handshake clears the cached source address", () => {
  const { lab, alice, bob } = session();
  lab.loses = () => true;
  alice.send(bob);
  const endpoint = alice.peer(bob).endpoint!;
  endpoint.fill(7, 7);
  lab.advance(15_333);
  deepEqual([...endpoint.subarray(7)], [0, 0, 0, 0, 0]);
});

Deno.test("dataSent(): packets that the socket refused do not count", () => {
  const { lab, alice, bob } = session();
  const peer = alice.peer(bob);
  const before = peer.txBytes;
  lab.advance(30_000);
  alice.device.sessions.dataSent(peer, peer.keypairs.current!, 1, 96, 8, lab.now);
  lab.advance(60_000);
  deepEqual(alice.sent(), []);
  equal(peer.txBytes, before);
});

Deno.test("keepalives need no answer, so no new handshake follows them", () => {
  const { lab, alice, bob } = session();
  alice.device.setPersistentKeepalive(alice.peer(bob), 10, lab.now);
  lab.advance(100_000);
  equal(alice.sent().includes("initiation"), false);
});

Deno.test("keys are erased exactly 540 s after they were derived, on both sides", () => {
  const { lab, alice, bob } = session();
  lab.advance(539_999);
  for (const host of [alice, bob]) {
    equal((host.transport as unknown as { slots: Map<number, unknown> }).slots.size, 1);
  }
  lab.advance(1);
  for (const host of [alice, bob]) {
    equal((host.transport as unknown as { slots: Map<number, unknown> }).slots.size, 0);
    const { previous, current, next } = host.device.peers[Symbol.iterator]().next().value!.keypairs;
    deepEqual([previous, current, next], [null, null, null]);
  }
});

Deno.test("a new session puts the erasure off", () => {
  const { lab, alice, bob } = session();
  lab.advance(300_000);
  alice.send(bob);
  lab.advance(500_000);
  ok(alice.peer(bob).keypairs.current);
  lab.advance(40_000);
  equal(alice.peer(bob).keypairs.current, null);
});

Deno.test("persistent keepalive: sent every interval after the last authenticated packet either way", () => {
  const { lab, alice, bob } = session();
  const peer = alice.peer(bob);
  lab.advance(30_000);
  alice.device.setPersistentKeepalive(peer, 25, lab.now);
  lab.settle();
  alice.sent();
  lab.advance(24_999);
  deepEqual(alice.sent(), []);
  lab.advance(1);
  deepEqual(alice.sent(), ["keepalive"]);
  lab.advance(20_000);
  bob.send(alice);
  lab.advance(9_999);
  deepEqual(alice.sent(), []);
  lab.advance(1);
  deepEqual(alice.sent(), ["keepalive"], "a passive keepalive answers bob's packet");
  lab.advance(24_999);
  deepEqual(alice.sent(), []);
  lab.advance(1);
  deepEqual(alice.sent(), ["keepalive"]);
});

Deno.test("persistent keepalive: switching it on sends one at once, changing it does not", () => {
  const { lab, alice, bob } = session();
  const peer = alice.peer(bob);
  alice.device.setPersistentKeepalive(peer, 25, lab.now);
  lab.settle();
  deepEqual(alice.sent(), ["keepalive"]);
  alice.device.setPersistentKeepalive(peer, 30, lab.now);
  lab.settle();
  deepEqual(alice.sent(), []);
});

Deno.test("persistent keepalive: switching it off ends it", () => {
  const { lab, alice, bob } = session();
  const peer = alice.peer(bob);
  alice.device.setPersistentKeepalive(peer, 25, lab.now);
  lab.settle();
  alice.device.setPersistentKeepalive(peer, 0, lab.now);
  alice.sent();
  lab.advance(600_000);
  deepEqual(alice.sent(), []);
});

Deno.test("persistent keepalive: without a key it makes a handshake, also when the interface comes up", () => {
  const { lab, alice, bob } = pair();
  alice.device.down();
  alice.device.setPersistentKeepalive(alice.peer(bob), 65_535, lab.now);
  lab.advance(1_000);
  deepEqual(alice.sent(), []);
  alice.device.up(lab.now);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "keepalive"]);
});

Deno.test("persistent keepalive: waits for an endpoint, and starts as soon as there is one", () => {
  const { lab, alice, bob } = pair();
  const peer = alice.peer(bob);
  peer.endpoint = null;
  alice.device.setPersistentKeepalive(peer, 25, lab.now);
  lab.advance(600_000);
  deepEqual(alice.sent(), []);
  alice.device.setEndpoint(peer, bob.address);
  alice.device.peerConfigured(peer, lab.now);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "keepalive"]);
});

Deno.test("persistent keepalive: waits for a private key, and starts as soon as there is one", () => {
  const { lab, alice, bob } = pair();
  const key = alice.device.privateKey!.slice();
  alice.device.setPrivateKey(null, lab.now);
  alice.device.setPersistentKeepalive(alice.peer(bob), 25, lab.now);
  lab.advance(600_000);
  deepEqual(alice.sent(), []);
  alice.device.setPrivateKey(key, lab.now);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "keepalive"]);
});

Deno.test("persistent keepalive: recovers by itself after the peer was unreachable for 330 s", () => {
  const { lab, alice, bob } = session();
  alice.device.setPersistentKeepalive(alice.peer(bob), 25, lab.now);
  lab.loses = () => true;
  lab.advance(330_000);
  lab.loses = () => false;
  lab.record.length = 0;
  lab.advance(25_400);
  ok(lab.record.some(({ sender, kind }) => sender === bob && kind === "response"));
});

Deno.test("initiations are at least 5 s apart, whatever causes them", () => {
  const { lab, alice, bob } = pair();
  lab.loses = () => true;
  for (let i = 0; i < 600; i++) {
    alice.send(bob);
    lab.advance(100);
  }
  const at = times(lab, alice, "initiation", 0);
  ok(at.length >= 11);
  for (let i = 1; i < at.length; i++) ok(at[i]! - at[i - 1]! >= 5_000);
});

Deno.test("a response suppresses our own initiation for 5 s too", () => {
  const { lab, alice, bob } = pair();
  lab.loses = ({ kind }) => kind === "data" || kind === "keepalive" || kind === "response";
  alice.send(bob);
  lab.settle();
  deepEqual(bob.sent(), ["response"]);
  bob.send(alice);
  lab.advance(4_999);
  deepEqual(bob.sent(), []);
  lab.loses = () => true;
  lab.advance(1);
  bob.send(alice);
  deepEqual(bob.sent(), ["initiation"]);
});

Deno.test("an idle session sends nothing for an hour", () => {
  const { lab, alice, bob } = session();
  lab.advance(3_600_000);
  deepEqual(alice.sent(), []);
  deepEqual(bob.sent(), ["keepalive"]);
});

Deno.test("keep key fresh: the initiator's first packet after exactly 120 s makes a new handshake", () => {
  const { lab, alice, bob } = session();
  lab.advance(119_999);
  bob.sent();
  alice.send(bob);
  lab.settle();
  deepEqual(alice.sent(), ["data"]);
  lab.advance(1);
  alice.send(bob);
  lab.settle();
  deepEqual(alice.sent(), ["data", "initiation", "keepalive"]);
});

Deno.test("keep key fresh: a keepalive of the initiator renews the key too", () => {
  const { lab, alice, bob } = session();
  alice.device.setPersistentKeepalive(alice.peer(bob), 25, lab.now);
  lab.advance(119_000);
  equal(alice.sent().includes("initiation"), false);
  lab.advance(26_000);
  equal(alice.sent().includes("initiation"), true);
});

Deno.test("keep key fresh: the responder never renews a key for its age", () => {
  for (const age of [120_000, 165_000, 179_999]) {
    const { lab, alice, bob } = session();
    lab.advance(age);
    bob.sent();
    lab.loses = ({ sender, kind }) => sender === bob || kind === "initiation";
    alice.send(bob);
    bob.send(alice);
    lab.settle();
    deepEqual(bob.sent(), ["data"], "bob begins a handshake neither when he sends nor when he receives");
  }
});

Deno.test("keep key fresh: an initiator that only receives renews at exactly 165 s, once per session", () => {
  const { lab, alice, bob } = session();
  lab.loses = ({ sender }) => sender === alice;
  lab.advance(164_999);
  alice.sent();
  bob.send(alice);
  lab.settle();
  equal(alice.sent().includes("initiation"), false);
  lab.advance(1);
  bob.send(alice);
  lab.settle();
  deepEqual(alice.sent(), ["initiation"]);
  equal(alice.peer(bob).sentLastMinuteHandshake, true);
});

Deno.test("keep key fresh: the next session is renewed before it expires, too", () => {
  const { lab, alice, bob } = session();
  for (let round = 0; round < 3; round++) {
    lab.advance(165_000);
    alice.sent();
    bob.send(alice);
    lab.settle();
    deepEqual(alice.sent(), ["initiation", "keepalive"], `session ${round}`);
  }
});

Deno.test("keep key fresh: both sides stream for an hour with one handshake per 120 s and no loss", () => {
  const { lab, alice, bob } = session();
  for (let second = 0; second < 3_600; second++) {
    alice.send(bob);
    bob.send(alice);
    lab.advance(1_000);
  }
  equal(bob.received.length, 3_601);
  equal(alice.received.length, 3_600);
  const initiations = lab.record.filter(({ kind }) => kind === "initiation");
  ok(initiations.length <= 30 && initiations.length >= 29, `${initiations.length} handshakes`);
});

Deno.test("keep key fresh: the flag for a counter past 2^60 renews the key, in either role", () => {
  for (const initiator of [true, false]) {
    const { lab, alice, bob } = session();
    const [host, other] = initiator ? [alice, bob] : [bob, alice];
    lab.advance(10_000);
    host.sent();
    const peer = host.peer(other);
    host.device.sessions.dataSent(peer, peer.keypairs.current!, 1, 96, 1, lab.now);
    lab.settle();
    deepEqual(host.sent(), ["initiation", "keepalive"]);
  }
});

Deno.test("a spent counter stops the key from sending and makes a new one", () => {
  const { lab, alice, bob } = session();
  lab.advance(10_000);
  alice.sent();
  const peer = alice.peer(bob);
  alice.device.sessions.dataSent(peer, peer.keypairs.current!, 0, 0, 2, lab.now);
  equal(alice.device.sessions.sendingKeypair(peer, lab.now), null);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "keepalive"]);
  ok(alice.device.sessions.sendingKeypair(peer, lab.now));
});

Deno.test("a key sends until 180 s and not at 180 s", () => {
  const { lab, alice, bob } = session();
  const peer = bob.peer(alice);
  lab.loses = () => true;
  lab.advance(179_999);
  ok(bob.device.sessions.sendingKeypair(peer, lab.now));
  lab.advance(1);
  equal(bob.device.sessions.sendingKeypair(peer, lab.now), null);
});

Deno.test("a key receives until 180 s and not at 180 s", () => {
  const { lab, alice, bob } = session();
  const { localIndex } = bob.peer(alice).keypairs.current!;
  lab.advance(179_999);
  ok(bob.device.sessions.keypair(localIndex, lab.now));
  lab.advance(1);
  equal(bob.device.sessions.keypair(localIndex, lab.now), null);
});

Deno.test("after ten minutes of suspend there is one handshake, and earlier keys are unusable", () => {
  const { lab, alice, bob } = session();
  lab.advance(5_000);
  alice.send(bob);
  lab.settle();
  alice.sent();
  lab.suspend(600_000);
  equal(alice.device.sessions.keypair(alice.peer(bob).keypairs.current!.localIndex, lab.now), null);
  alice.send(bob);
  lab.advance(60_000);
  equal(alice.sent().filter((kind) => kind === "initiation").length, 1);
  equal(bob.received.length, 3);
});

Deno.test("timers overdue after suspend do not let the erasure undo the handshake they begin", () => {
  const { lab, alice, bob } = session();
  lab.advance(1_000);
  bob.send(alice);
  lab.settle();
  lab.loses = ({ sender, kind }) => sender === bob && kind === "initiation";
  lab.suspend(600_000);
  lab.advance(1_000);
  deepEqual(alice.sent(), ["initiation", "keepalive"]);
});

Deno.test("the time of the last handshake is the wall clock's, the responder's at confirmation", () => {
  const { lab, alice, bob } = pair();
  lab.wall = 1_234_567_890_500_000_000n;
  let held = true;
  lab.loses = ({ kind }) => held && (kind === "data" || kind === "keepalive");
  alice.send(bob);
  lab.settle();
  deepEqual(alice.peer(bob).lastHandshake, { seconds: 1_234_567_890, nanoseconds: 500_000_000 });
  equal(bob.peer(alice).lastHandshake, null);
  held = false;
  lab.advance(2_000);
  alice.send(bob);
  lab.settle();
  deepEqual(bob.peer(alice).lastHandshake, { seconds: 1_234_567_892, nanoseconds: 500_000_000 });
});
