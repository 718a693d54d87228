import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { formatPrefix, parsePrefix, type Prefix } from "../../../core/config/prefix.ts";
import { Device } from "../../../core/protocol/device.ts";
import { Drop } from "../../../core/protocol/drops.ts";
import { endpointWords, socketAddress } from "../../../core/protocol/endpoint.ts";
import { address4, address6, ipv4, Lab, pair, seededRandom, session } from "../../lab.ts";
import { nobleCrypto, NobleKeypairs } from "../../noble_crypto.ts";

const prefix = (text: string) => parsePrefix(text) as Prefix;
const key = (seed: number) => {
  const bytes = new Uint8Array(32);
  seededRandom(seed)(bytes);
  return bytes;
};

function device(): Device {
  return new Device({ crypto: nobleCrypto, keypairs: new NobleKeypairs(), random: seededRandom(1) });
}

Deno.test("setPrivateKey() clamps", () => {
  const { now } = new Lab();
  const one = device();
  one.setPrivateKey(new Uint8Array(32).fill(0xff), now);
  deepEqual([one.privateKey![0], one.privateKey![31]], [0xf8, 0x7f]);
  one.setPrivateKey(new Uint8Array(32), now);
  deepEqual([one.privateKey![0], one.privateKey![31]], [0, 0x40]);
  one.setPrivateKey(null, now);
  deepEqual([one.privateKey, one.publicKey], [null, null]);
});

Deno.test("addPeer() ignores our own public key", () => {
  const { alice } = pair();
  equal(alice.device.addPeer(alice.device.publicKey!), null);
  equal(alice.device.peerCount, 1);
});

Deno.test("addPeer() finds an existing peer, and keeps the order in which peers were added", () => {
  const one = device();
  const peers = [5, 3, 9].map((seed) => one.addPeer(key(seed))!);
  equal(one.addPeer(key(3)), peers[1]);
  deepEqual([...one.peers], peers);
  one.removePeer(peers[0]!);
  const again = one.addPeer(key(5))!;
  deepEqual([...one.peers], [peers[1], peers[2], again]);
  equal(one.peer(key(5)), again);
});

Deno.test("setPrivateKey() removes the peer that is now ourselves", () => {
  const { lab, alice, bob } = pair();
  alice.device.setPrivateKey(bob.device.privateKey!, lab.now);
  equal(alice.device.peerCount, 0);
  equal(alice.device.lookup(ipv4([10, 0, 0, 1], [10, 0, 0, 2]), 0, 40), null);
});

Deno.test("setPrivateKey() makes the next packet handshake at once, while the old keys still receive", () => {
  const { lab, alice, bob } = session();
  const { localIndex } = alice.peer(bob).keypairs.current!;
  alice.device.setPrivateKey(key(77), lab.now);
  ok(alice.device.sessions.keypair(localIndex, lab.now));
  bob.send(alice);
  lab.settle();
  equal(alice.received.length, 1);
  bob.device.addPeer(alice.device.publicKey!);
  bob.device.insertAllowedIp(bob.peer(alice), prefix("10.0.0.1/32"));
  alice.sent();
  alice.send(bob);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "data"]);
  equal(bob.received.length, 2);
});

Deno.test("setPrivateKey() with the same key changes nothing", () => {
  const { lab, alice, bob } = session();
  alice.device.setPrivateKey(alice.device.privateKey!.slice(), lab.now);
  alice.send(bob);
  lab.settle();
  deepEqual(alice.sent(), ["data"]);
});

Deno.test("setPrivateKey() drops a sent initiation: its response is refused", () => {
  const { lab, alice, bob } = pair();
  lab.delay = ({ kind }) => kind === "response" ? 1_000 : 0;
  alice.send(bob);
  lab.settle();
  alice.device.setPrivateKey(key(77), lab.now);
  alice.peer(bob).endpoint = null;
  lab.advance(1_000);
  equal(alice.peer(bob).keypairs.current, null);
});

Deno.test("insertAllowedIp() moves a prefix between peers; removing a peer takes its prefixes along", () => {
  const one = device();
  const [a, b] = [one.addPeer(key(1))!, one.addPeer(key(2))!];
  one.insertAllowedIp(a, prefix("10.0.0.0/8"));
  one.insertAllowedIp(a, prefix("10.1.0.0/16"));
  one.insertAllowedIp(b, prefix("10.1.0.0/16"));
  deepEqual([...one.allowedIps(a)].map(formatPrefix), ["10.0.0.0/8"]);
  const packet = ipv4([1, 1, 1, 1], [10, 1, 2, 3]);
  equal(one.lookup(packet, 0, packet.length), b);
  one.removeAllowedIp(a, prefix("10.1.0.0/16"));
  equal(one.lookup(packet, 0, packet.length), b, "a peer cannot remove the prefix of another peer");
  one.removePeer(b);
  equal(one.lookup(packet, 0, packet.length), a, "the shorter prefix matches again");
  one.clearAllowedIps(a);
  equal(one.lookup(packet, 0, packet.length), null);
});

Deno.test("lookup() and sourceAllowed() require a complete IP header", () => {
  const one = device();
  const peer = one.addPeer(key(1))!;
  one.insertAllowedIp(peer, prefix("0.0.0.0/0"));
  one.insertAllowedIp(peer, prefix("::/0"));
  for (let first = 0; first < 256; first++) {
    for (let length = 0; length < 64; length++) {
      const packet = new Uint8Array(80).fill(first);
      const whole = first >> 4 === 4 && length >= 20 || first >> 4 === 6 && length >= 40;
      equal(one.lookup(packet, 3, length) !== null, whole);
      equal(one.sourceAllowed(peer, packet, 3, length), whole);
    }
  }
});

Deno.test("sourceAllowed() uses the device-wide table: an overlapping prefix of another peer takes precedence", () => {
  const one = device();
  const [wide, narrow] = [one.addPeer(key(1))!, one.addPeer(key(2))!];
  one.insertAllowedIp(wide, prefix("10.0.0.0/8"));
  one.insertAllowedIp(narrow, prefix("10.0.0.7/32"));
  const packet = ipv4([10, 0, 0, 7], [1, 1, 1, 1]);
  equal(one.sourceAllowed(wide, packet, 0, 40), false);
  equal(one.sourceAllowed(narrow, packet, 0, 40), true);
});

Deno.test("roaming: data moves the endpoint, from IPv4 to IPv6 and back, and answers follow", () => {
  const { lab, alice, bob } = session();
  for (
    const address of [
      address4([198, 51, 100, 7], 9_999),
      address6(Uint8Array.from({ length: 16 }, (_, i) => 0x20 + i), 9_998),
      address4([198, 51, 100, 7], 9_997),
    ]
  ) {
    alice.move(address);
    alice.send(bob);
    lab.settle();
    deepEqual(bob.peer(alice).endpoint!.subarray(0, 7), address.subarray(0, 7));
    bob.send(alice);
    lab.settle();
  }
  equal(alice.received.length, 3);
});

Deno.test("roaming: happens before the inner source is checked", () => {
  const { lab, alice, bob } = session();
  bob.device.clearAllowedIps(bob.peer(alice));
  alice.move(address4([198, 51, 100, 7], 9_999));
  alice.send(bob);
  lab.settle();
  equal(bob.received.length, 1, "only the first packet of the session arrives");
  equal(bob.peer(alice).endpoint![1], 9_999);
});

Deno.test("roaming: replays, forgeries, and messages with no more than a right mac1 move nothing", () => {
  const { lab, alice, bob } = pair();
  alice.send(bob);
  lab.settle();
  const attacker = address4([203, 0, 113, 66], 666);
  const before = bob.peer(alice).endpoint!.slice();
  for (const { bytes, sender } of [...lab.record]) {
    if (sender !== alice) continue;
    bob.receive(bytes, attacker);
    const forged = bytes.slice();
    forged[40]! ^= 1;
    bob.receive(forged, attacker);
  }
  deepEqual(bob.peer(alice).endpoint, before);
});

Deno.test("roaming: initiation and response move the endpoint, and the response goes to the new one", () => {
  const { lab, alice, bob } = pair();
  bob.peer(alice).endpoint = null;
  alice.move(address4([198, 51, 100, 7], 9_999));
  alice.send(bob);
  lab.settle();
  equal(bob.peer(alice).endpoint![1], 9_999);
  equal(bob.received.length, 1);
});

Deno.test("roaming: a response moves the endpoint to where it came from, and the first packet goes there", () => {
  const { lab, alice, bob } = pair();
  lab.loses = ({ kind }) => kind === "response";
  alice.send(bob);
  lab.settle();
  const response = lab.record.find(({ kind }) => kind === "response")!;
  bob.move(address4([198, 51, 100, 8], 9_999));
  alice.receive(response.bytes, bob.address);
  lab.settle();
  equal(alice.peer(bob).endpoint![1], 9_999);
  equal(bob.received.length, 1);
});

Deno.test("roaming: our own address is remembered with the peer's and forgotten on demand", () => {
  const { alice, bob } = session();
  const { endpoint } = bob.peer(alice);
  deepEqual([...new Uint8Array(endpoint!.buffer, 32, 4)], [192, 0, 2, 2]);
  bob.device.forgetSources();
  deepEqual([...endpoint!.subarray(7)], [0, 0, 0, 0, 0]);
});

Deno.test("roaming: an unchanged sender costs no new endpoint", () => {
  const { lab, alice, bob } = session();
  const { endpoint } = bob.peer(alice);
  alice.send(bob);
  lab.settle();
  equal(bob.peer(alice).endpoint, endpoint);
});

Deno.test("setEndpoint() leaves the session alone", () => {
  const { lab, alice, bob } = session();
  alice.device.setEndpoint(alice.peer(bob), bob.address);
  alice.send(bob);
  lab.settle();
  deepEqual(alice.sent(), ["data"]);
});

Deno.test("removePeer() ends everything: keys, indices, timers, staged packets, pending outputs", () => {
  const { lab, alice, bob } = session();
  const peer = bob.peer(alice);
  const { localIndex } = peer.keypairs.current!;
  bob.device.setPersistentKeepalive(peer, 1, lab.now);
  bob.device.sessions.stage(peer, new Uint8Array(30));
  bob.device.removePeer(peer);
  bob.device.removePeer(peer);
  lab.advance(600_000);
  deepEqual(bob.sent(), []);
  equal(bob.device.sessions.keypair(localIndex, lab.now), null);
  equal(bob.device.nextDeadline(), Infinity);
  equal(bob.device.drops.of(Drop.StagedPurged), 1);
  equal((bob.transport as NobleKeypairs).slots.size, 0);
  equal(bob.device.sessions.sendingKeypair(peer, lab.now), null);
  bob.device.sessions.stage(peer, new Uint8Array(30));
  deepEqual(peer.takeStaged(), []);
});

Deno.test("removePeer() removes outputs that poll() has not returned", () => {
  const { lab, alice, bob } = pair();
  alice.device.sessions.sendingKeypair(alice.peer(bob), lab.now);
  alice.device.removePeer(alice.peer(bob));
  equal(alice.device.poll(), null);
});

Deno.test("the number of a removed peer is reused without state of the old peer", () => {
  const one = device();
  const first = one.addPeer(key(1))!;
  one.insertAllowedIp(first, prefix("10.0.0.0/8"));
  one.removePeer(first);
  const second = one.addPeer(key(2))!;
  equal(second.number, first.number);
  deepEqual([...one.allowedIps(second)], []);
});

Deno.test("down() erases keys and waiting packets, and up() starts again", () => {
  const { lab, alice, bob } = session();
  const peer = alice.peer(bob);
  alice.device.setPersistentKeepalive(peer, 25, lab.now);
  alice.device.sessions.stage(peer, new Uint8Array(30));
  alice.device.down();
  equal((alice.transport as NobleKeypairs).slots.size, 0);
  equal(peer.stagedCount, 0);
  equal(alice.device.nextDeadline(), Infinity);
  equal(alice.device.poll(), null);
  alice.send(bob);
  lab.advance(60_000);
  deepEqual(alice.sent(), []);
  alice.device.up(lab.now);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "keepalive"]);
});

Deno.test("down() lets the interface come up again within 5 s and handshake at once", () => {
  const { lab, alice, bob } = pair();
  alice.send(bob);
  lab.loses = () => true;
  lab.advance(1_000);
  alice.device.down();
  alice.device.up(lab.now);
  alice.sent();
  lab.loses = () => false;
  alice.send(bob);
  lab.settle();
  deepEqual(alice.sent(), ["initiation", "data"]);
});

Deno.test("without an endpoint nothing is sent, and waiting packets are sent when there is one", () => {
  const { lab, alice, bob } = pair();
  const peer = alice.peer(bob);
  peer.endpoint = null;
  equal(alice.device.sessions.sendingKeypair(peer, lab.now), null);
  alice.device.sessions.stage(peer, ipv4([10, 0, 0, 1], [10, 0, 0, 2]));
  equal(alice.device.nextDeadline(), Infinity);
  alice.device.setEndpoint(peer, bob.address);
  alice.device.peerConfigured(peer, lab.now);
  lab.settle();
  equal(bob.received.length, 1);
});

Deno.test("handleTimeout() handles a bounded number of timers and reports that there are more", () => {
  const lab = new Lab();
  const host = lab.host("hub");
  const peers = Array.from({ length: 100 }, (_, i) => {
    const peer = host.device.addPeer(key(i + 1))!;
    host.device.setEndpoint(peer, address4([192, 0, 2, 200], i));
    host.device.setPersistentKeepalive(peer, 25, lab.now);
    return peer;
  });
  host.device.handleTimeout(lab.now);
  let initiations = 0;
  while (host.device.poll()) initiations++;
  ok(initiations > 0 && initiations <= 8);
  ok(host.device.nextDeadline() <= lab.boot);
  lab.settle();
  equal(host.sent().length, peers.length - initiations);
});

Deno.test("silent peers have no timers, make no handshake state, and are not visited", () => {
  const lab = new Lab();
  const host = lab.host("hub");
  const count = 100_000;
  const publicKey = new Uint8Array(32);
  const words = new Uint32Array(publicKey.buffer);
  for (let i = 0; i < count; i++) {
    words[0] = i + 1;
    words[5] = ~i;
    const peer = host.device.addPeer(publicKey)!;
    host.device.setEndpoint(peer, address4([10, i >> 16, i >> 8, i], 51820));
    host.device.insertAllowedIp(peer, {
      family: 4,
      address: Uint8Array.of(10, i >> 16, i >> 8, i),
      length: 32,
    });
  }
  equal(host.device.peerCount, count);
  equal(host.device.nextDeadline(), Infinity);
  lab.advance(86_400_000);
  deepEqual(host.sent(), []);
  for (const peer of host.device.peers) {
    if (peer.handshake || peer.cookieJar || peer.staticStatic !== undefined) throw new Error("not silent");
  }
  const packet = ipv4([1, 1, 1, 1], [10, 1, 0x86, 0x9f]);
  equal(host.device.lookup(packet, 0, 40)?.number, count);
});

Deno.test("a hub and twenty spokes: each spoke reaches the hub and cannot use another spoke's address", () => {
  const lab = new Lab();
  const hub = lab.host("hub");
  const spokes = Array.from({ length: 20 }, (_, i) => lab.host(`spoke ${i}`));
  for (const spoke of spokes) lab.introduce(spoke, hub);
  for (const spoke of spokes) {
    spoke.send(hub);
    // With the address of the next one in it: authentic, but not allowed.
    const other = spokes[(spokes.indexOf(spoke) + 1) % 20]!;
    spoke.sendPacket(ipv4([10, 0, 0, other.number], [10, 0, 0, hub.number]));
  }
  lab.settle();
  equal(hub.received.length, 20);
  for (const spoke of spokes) hub.send(spoke);
  lab.settle();
  for (const spoke of spokes) equal(spoke.received.length, 1);
});

Deno.test("endpointWords() and socketAddress() are inverse, for both families", () => {
  for (
    const address of [
      { family: 4 as const, address: Uint8Array.of(192, 0, 2, 1), port: 51820, scope: 0 },
      { family: 6 as const, address: Uint8Array.from({ length: 16 }, (_, i) => i), port: 1, scope: 7 },
    ]
  ) deepEqual(socketAddress(endpointWords(address)), address);
  notEqual(endpointWords({ family: 4, address: Uint8Array.of(1, 2, 3, 4), port: 5, scope: 0 })[2], 0);
});
