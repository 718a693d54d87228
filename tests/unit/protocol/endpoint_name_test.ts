import { deepEqual, equal, ok } from "node:assert/strict";
import { formatSocketAddress } from "../../../core/config/endpoint.ts";
import { socketAddress } from "../../../core/protocol/endpoint.ts";
import { address4, pair, session } from "../../lab.ts";

const NAME = "vpn.example:51820";
const NEW = address4([198, 51, 100, 7], 51820);

/** Two hosts, of which the second moved away before anything was said. */
function moved() {
  const all = pair();
  all.alice.jitter = 0;
  all.alice.device.setEndpointName(all.alice.peer(all.bob), NAME);
  all.bob.move(NEW);
  return { ...all, start: all.lab.boot, peer: all.alice.peer(all.bob) };
}

Deno.test("endpoint name: looked up with the third initiation, then after pauses that double up to 5 minutes", () => {
  const { lab, alice, bob, start } = moved();
  for (let second = 0; second < 1_200; second++) {
    if (second % 10 === 0) alice.send(bob);
    lab.advance(1_000);
  }
  deepEqual(
    alice.lookups.map((at) => (at - start) / 1_000),
    [10, 20, 40, 80, 160, 320, 620, 920],
  );
});

Deno.test("endpoint name: without traffic nothing is looked up, and no timer runs for it", () => {
  const { lab, alice, bob } = moved();
  alice.send(bob);
  lab.advance(3_600_000);
  // While initiations are repeated for 90 s, and then no more.
  equal(alice.lookups.length, 4);
  equal(alice.device.nextDeadline(), Infinity);
});

Deno.test("endpoint name: a name server behind the tunnel does not cause endless lookups", () => {
  const { lab, alice, bob, start } = moved();
  alice.send(bob);
  for (let second = 0; second < 7_200; second++) {
    lab.advance(1_000);
    // A resolver gives up after 10 s.
    if (lab.boot - (alice.lookups.at(-1) ?? -Infinity) < 10_000) alice.send(bob);
  }
  ok(alice.lookups.at(-1)! - start < 300_000, `${alice.lookups.map((at) => at - start)}`);
  equal(alice.device.nextDeadline(), Infinity);
});

Deno.test("endpoint name: the next initiation is sent to the address that was found, and makes a session", () => {
  const { lab, alice, bob, peer } = moved();
  alice.send(bob);
  lab.advance(10_000);
  alice.device.endpointFound(peer, NEW, lab.now);
  lab.advance(5_000);
  equal(bob.received.length, 1);
  deepEqual(peer.endpoint?.slice(0, 6), NEW.slice(0, 6));
});

Deno.test("endpoint name: a peer that answers keeps its endpoint, whatever is found", () => {
  const { lab, alice, bob } = session();
  const peer = alice.peer(bob);
  alice.device.setEndpointName(peer, NAME);
  const before = peer.endpoint!.slice();
  for (let minute = 0; minute < 30; minute++) {
    alice.send(bob);
    lab.advance(60_000);
    alice.device.endpointFound(peer, NEW, lab.now);
  }
  deepEqual(peer.endpoint, before);
  deepEqual(alice.lookups, []);
});

Deno.test("endpoint name: an answer that comes too late, or after another endpoint was set, changes nothing", () => {
  const late = moved();
  late.alice.send(late.bob);
  late.lab.advance(10_000);
  // The peer calls by itself.
  late.bob.send(late.alice);
  late.lab.settle();
  const roamed = late.peer.endpoint!.slice();
  late.alice.device.endpointFound(late.peer, address4([198, 51, 100, 99], 1), late.lab.now);
  deepEqual(late.peer.endpoint, roamed);

  const set = moved();
  set.alice.send(set.bob);
  set.lab.advance(10_000);
  set.alice.device.setEndpoint(set.peer, address4([192, 0, 2, 50], 9));
  set.alice.device.setEndpointName(set.peer, "other.example:9");
  set.alice.device.endpointFound(set.peer, NEW, set.lab.now);
  deepEqual(set.peer.endpoint!.slice(0, 6), address4([192, 0, 2, 50], 9).slice(0, 6));
});

Deno.test("endpoint name: one lost initiation causes no lookup", () => {
  const { lab, alice, bob } = pair();
  alice.device.setEndpointName(alice.peer(bob), NAME);
  let lost = 0;
  lab.loses = ({ kind }) => kind === "initiation" && lost++ < 2;
  alice.send(bob);
  lab.advance(60_000);
  ok(alice.peer(bob).lastHandshake !== null);
  // Two were lost: the third one asked, and was answered.
  equal(alice.lookups.length, 1);
  lost = 1;
  lab.advance(200_000);
  alice.send(bob);
  lab.advance(60_000);
  equal(alice.lookups.length, 1);
});

Deno.test("endpoint name: setting an endpoint by address ends the lookups", () => {
  const { lab, alice, bob, peer } = moved();
  alice.device.setEndpoint(peer, address4([192, 0, 2, 2], 51820));
  alice.send(bob);
  lab.advance(100_000);
  deepEqual(alice.lookups, []);
  equal(peer.endpointName, null);
});

/** Two hosts, of which the first knows the other by a name that could not be looked up. */
function unknown() {
  const all = pair();
  all.alice.jitter = 0;
  const peer = all.alice.peer(all.bob);
  const there = peer.endpoint!.slice();
  peer.endpoint = null;
  all.alice.device.setEndpointName(peer, NAME);
  return { ...all, peer, there, start: all.lab.boot };
}

Deno.test("endpoint name: a peer without an endpoint is looked up with the first packet, which then goes out", () => {
  const { lab, alice, bob, peer, there, start } = unknown();
  lab.advance(60_000);
  deepEqual(alice.lookups, [], "a name is not looked up while there is nothing to send");
  alice.send(bob);
  lab.advance(1_000);
  deepEqual(alice.lookups.map((at) => at - start), [60_000]);
  alice.device.endpointFound(peer, there, lab.now);
  lab.advance(1_000);
  equal(bob.received.length, 1, "the packet that waited is sent");
});

Deno.test("endpoint name: a failed lookup is repeated, with pauses, as long as there is traffic", () => {
  const { lab, alice, bob, start } = unknown();
  for (let second = 0; second < 700; second++) {
    if (second % 10 === 0) alice.send(bob);
    lab.advance(1_000);
  }
  deepEqual(alice.lookups.map((at) => (at - start) / 1_000), [0, 10, 30, 70, 150, 310, 610]);
});

Deno.test("endpoint name: persistent keepalives cause lookups, too, until there is an endpoint", () => {
  const { lab, alice, bob, peer, there } = unknown();
  alice.device.setPersistentKeepalive(peer, 25, lab.now);
  lab.advance(3_600_000);
  ok(alice.lookups.length > 10, `${alice.lookups.length} lookups in an hour`);
  alice.device.endpointFound(peer, there, lab.now);
  lab.advance(1_000);
  ok(peer.lastHandshake !== null);
  equal(bob.peer(alice).lastHandshake !== null, true);
});

Deno.test("endpoint name: an address of the file is tried once all attempts at the peer's last address are spent", () => {
  const { lab, alice, bob } = pair();
  alice.jitter = 0;
  const peer = alice.peer(bob);
  const configured = peer.endpoint!.slice(0, 6);
  alice.device.setEndpointName(peer, formatSocketAddress(socketAddress(peer.endpoint!)));
  const dead = address4([198, 51, 100, 99], 9);
  peer.endpoint = dead.slice();
  alice.send(bob);
  lab.advance(120_000);
  deepEqual(
    peer.endpoint.slice(0, 6),
    dead.slice(0, 6),
    "the endpoint stays, while initiations are repeated and after that",
  );
  alice.send(bob);
  lab.advance(6_000);
  deepEqual(peer.endpoint.slice(0, 6), configured);
  equal(bob.received.length, 1);
  deepEqual(alice.lookups, []);
});

Deno.test("endpoint name: a peer that answers at another address is not moved to the file's address", () => {
  const { lab, alice, bob } = session();
  const peer = alice.peer(bob);
  alice.device.setEndpointName(peer, "192.0.2.2:51820");
  bob.move(NEW);
  bob.send(alice);
  lab.settle();
  const roamed = peer.endpoint!.slice();
  for (let minute = 0; minute < 30; minute++) {
    alice.send(bob);
    lab.advance(60_000);
  }
  deepEqual(peer.endpoint!.slice(0, 6), roamed.slice(0, 6));
  deepEqual(alice.lookups, []);
});
