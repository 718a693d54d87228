import { deepEqual, equal } from "node:assert/strict";
import type { Milliseconds } from "../../../core/protocol/clock.ts";
import { Keypair, Keypairs } from "../../../core/protocol/keypair.ts";
import { pair, session } from "../../lab.ts";

/** Three slots filled with keypairs of these numbers, 0 for none, and what is dropped from them. */
function slots([previous, current, next]: readonly [number, number, number]) {
  const keypairs = new Keypairs();
  const made = new Map<number, Keypair>();
  const dropped: number[] = [];
  const make = (slot: number, initiator = true) => {
    // deno-lint-ignore no-explicit-any -- the rotation does not look at the peer
    const keypair = new Keypair(null as any, slot, slot, initiator, 0 as Milliseconds);
    made.set(slot, keypair);
    return keypair;
  };
  if (previous) keypairs.previous = make(previous);
  if (current) keypairs.current = make(current);
  if (next) keypairs.next = make(next, false);
  const drop = ({ slot }: Keypair) => dropped.push(slot);
  const state = () =>
    [keypairs.previous, keypairs.current, keypairs.next].map((keypair) => keypair?.slot ?? 0);
  return { keypairs, make, made, drop, dropped, state };
}

Deno.test("Keypairs.install() of an initiator: the new one is current, all combinations", () => {
  for (
    const [before, after, gone] of [
      [[0, 0, 0], [0, 9, 0], []],
      [[0, 2, 0], [2, 9, 0], []],
      [[1, 2, 0], [2, 9, 0], [1]],
      [[0, 0, 3], [3, 9, 0], []],
      [[0, 2, 3], [3, 9, 0], [2]],
      [[1, 2, 3], [3, 9, 0], [2, 1]],
    ] as const
  ) {
    const { keypairs, make, drop, dropped, state } = slots(before);
    keypairs.install(make(9), drop);
    deepEqual([state(), dropped], [after, gone], `from ${before}`);
  }
});

Deno.test("Keypairs.install() of a responder: the new one is next, the previous goes, all combinations", () => {
  for (
    const [before, after, gone] of [
      [[0, 0, 0], [0, 0, 9], []],
      [[0, 2, 0], [0, 2, 9], []],
      [[1, 2, 0], [0, 2, 9], [1]],
      [[0, 0, 3], [0, 0, 9], [3]],
      [[1, 2, 3], [0, 2, 9], [3, 1]],
    ] as const
  ) {
    const { keypairs, make, drop, dropped, state } = slots(before);
    keypairs.install(make(9, false), drop);
    deepEqual([state(), dropped], [after, gone], `from ${before}`);
  }
});

Deno.test("Keypairs.confirm() moves next to current, and only next", () => {
  const { keypairs, made, drop, dropped, state } = slots([1, 2, 3]);
  equal(keypairs.confirm(made.get(1)!, drop), false);
  equal(keypairs.confirm(made.get(2)!, drop), false);
  deepEqual(state(), [1, 2, 3]);
  equal(keypairs.confirm(made.get(3)!, drop), true);
  deepEqual([state(), dropped], [[2, 3, 0], [1]]);
  equal(keypairs.confirm(made.get(3)!, drop), false);
});

Deno.test("Keypairs.clear() drops each of the three once", () => {
  const { keypairs, drop, dropped, state } = slots([1, 2, 3]);
  keypairs.clear(drop);
  keypairs.clear(drop);
  deepEqual([state(), dropped.sort()], [[0, 0, 0], [1, 2, 3]]);
});

Deno.test("a responder does not send with a key before it is confirmed", () => {
  const { lab, alice, bob } = pair();
  lab.loses = ({ kind }) => kind === "data" || kind === "keepalive";
  alice.send(bob);
  lab.settle();
  const { current, next } = bob.peer(alice).keypairs;
  equal(current, null);
  equal(bob.device.sessions.sendingKeypair(bob.peer(alice), lab.now), null);
  bob.device.sessions.keypair(next!.localIndex, lab.now);
  equal(bob.peer(alice).keypairs.current, null, "a lookup does not confirm");
});

Deno.test("a keepalive confirms a key as data does, and staged packets are sent", () => {
  const { lab, alice, bob } = pair();
  lab.loses = ({ kind }) => kind === "keepalive";
  alice.device.sessions.sendingKeypair(alice.peer(bob), lab.now);
  lab.settle();
  bob.send(alice);
  lab.settle();
  equal(alice.received.length, 0);
  lab.loses = () => false;
  alice.device.setPersistentKeepalive(alice.peer(bob), 25, lab.now);
  lab.settle();
  deepEqual(bob.sent(), ["response", "data"]);
  equal(alice.received.length, 1);
});

Deno.test("packets of the previous key are accepted while the new one is in use", () => {
  const { lab, alice, bob } = session();
  lab.delay = ({ kind }) => kind === "data" ? 1_000 : 0;
  lab.advance(119_500);
  alice.send(bob);
  lab.advance(500);
  alice.send(bob);
  lab.advance(2_000);
  equal(bob.received.length, 3);
});

Deno.test("a rekey while both sides stream loses and duplicates nothing, over a wire that reorders", () => {
  const { lab, alice, bob } = session();
  let state = 5;
  lab.delay = () => (state = state * 48271 % 0x7fffffff) % 300;
  for (let i = 0; i < 500; i++) {
    alice.send(bob);
    bob.send(alice);
    lab.advance(1_000);
  }
  deepEqual([alice.received.length, bob.received.length], [500, 501]);
});

Deno.test("no key is left in the store at the end", () => {
  const { lab, alice, bob } = session();
  for (let i = 0; i < 20; i++) {
    alice.send(bob);
    bob.send(alice);
    lab.advance(100_000);
  }
  lab.advance(600_000);
  for (const host of [alice, bob]) {
    // deno-lint-ignore no-explicit-any -- looking into the test's own store
    equal((host.transport as any).slots.size, 0, host.name);
  }
});
