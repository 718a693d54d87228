import { deepEqual, equal, ok } from "node:assert/strict";
import { equalBytes } from "../../../core/config/key.ts";
import type { Crypto } from "../../../core/protocol/crypto.ts";
import { multiplying } from "../../../core/protocol/multiplication.ts";
import { Drop } from "../../../core/protocol/drops.ts";
import { type Datagram, type Host, type Lab, pair, session } from "../../lab.ts";
import { nobleCrypto, NobleKeypairs } from "../../noble_crypto.ts";

/** Counts multiplications on the curve, and keeps where they and the key derivation put what is secret. */
function counted(): { crypto: Crypto; count: () => number; secrets: Set<Uint8Array> } {
  let count = 0;
  const secrets = new Set<Uint8Array>();
  const crypto: Crypto = {
    ...nobleCrypto,
    dh: (out, privateKey, publicKey) => {
      count++;
      secrets.add(out);
      return nobleCrypto.dh(out, privateKey, publicKey);
    },
    publicKey: (out, privateKey) => {
      count++;
      secrets.add(privateKey);
      nobleCrypto.publicKey(out, privateKey);
    },
    kdf: (chainingKey, input, ...outputs) => {
      for (const output of [chainingKey, ...outputs]) if (output) secrets.add(output);
      nobleCrypto.kdf(chainingKey, input, ...outputs);
    },
    seal: (out, key, ...others) => {
      secrets.add(key);
      nobleCrypto.seal(out, key, ...others);
    },
    open: (out, key, ...others) => {
      secrets.add(key);
      return nobleCrypto.open(out, key, ...others);
    },
  };
  return { crypto, count: () => count, secrets };
}

/** How many of them are not zero, besides what a host keeps: its own key and the secret of both static keys. */
function left(secrets: Set<Uint8Array>, host: Host, ...kept: (Uint8Array | null | undefined)[]): number {
  const own = host.device.privateKey;
  return [...secrets].filter((secret) =>
    secret.some((byte) => byte !== 0) && !kept.includes(secret) &&
    !(own !== null && equalBytes(own, secret))
  ).length;
}

/** The message that a host sends next, which does not arrive. */
function held(lab: Lab, act: () => void): Datagram {
  lab.loses = () => true;
  lab.record.length = 0;
  act();
  lab.settle();
  lab.loses = () => false;
  return lab.record[0]!;
}

/** The response to an initiation, on its way to the initiator. */
function answer(lab: Lab, initiator: Host, responder: Host): Datagram {
  const initiation = held(lab, () => initiator.send(responder));
  return held(lab, () => responder.receive(initiation.bytes, initiator.address));
}

const begin = (to: Host, { bytes, from }: Datagram) =>
  multiplying(to.device.crypto, to.device.handshakes.steps(bytes, from, false, to.lab.now));

Deno.test("no step of a message computes more than one multiplication on the curve", () => {
  const { crypto, count } = counted();
  const { lab, alice, bob } = pair({ backend: { crypto, transport: () => new NobleKeypairs() } });
  /** Multiplications of each step. */
  const steps = (to: Host, message: Datagram) => {
    const counts: number[] = [];
    let before = count();
    for (const _ of begin(to, message)) {
      counts.push(count() - before);
      before = count();
    }
    to.flush();
    return [...counts, count() - before];
  };
  const initiation = held(lab, () => alice.send(bob));
  lab.loses = () => true;
  deepEqual(steps(bob, initiation), [1, 1, 1, 1, 1, 0], "the steps multiply for es, ss, e, ee, se");
  const response = lab.record.at(-1)!;
  deepEqual(steps(alice, response), [1, 1, 0], "the steps multiply for ee, se");
  lab.advance(5_100);
  const again = lab.record.findLast(({ kind }) => kind === "initiation")!;
  ok(again === initiation);
  lab.advance(121_000);
  alice.send(bob);
  deepEqual(steps(bob, lab.record.at(-1)!), [1, 1, 1, 1, 0], "the secret of both static keys is known");
});

/** What may happen between two steps of bob's, and whether the handshake goes on after it. */
const EVENTS: Record<string, { act: (lab: Lab, alice: Host, bob: Host) => void; survives: boolean }> = {
  nothing: { act: () => {}, survives: true },
  "its key is taken away": { act: (lab, _, bob) => bob.device.setPrivateKey(null, lab.now), survives: false },
  "it gets another key": {
    act: (lab, _, bob) => bob.device.setPrivateKey(new Uint8Array(32).fill(7), lab.now),
    survives: false,
  },
  "the interface goes down": { act: (_lab, _, bob) => bob.device.down(), survives: false },
  "the interface goes down and up again": {
    act: (lab, _, bob) => {
      bob.device.down();
      bob.device.up(lab.now);
    },
    survives: false,
  },
  "the peer is removed": {
    act: (_, alice, bob) => bob.device.removePeer(bob.peer(alice)),
    survives: false,
  },
};

for (const kind of ["initiation", "response"] as const) {
  for (const [event, { act, survives }] of Object.entries(EVENTS)) {
    Deno.test(`between steps with ${kind === "initiation" ? "an initiation" : "a response"}: ${event}`, () => {
      for (let at = 1;; at++) {
        const { crypto, secrets } = counted();
        const { lab, alice, bob } = pair({ backend: { crypto, transport: () => new NobleKeypairs() } });
        const message = kind === "initiation" ? held(lab, () => alice.send(bob)) : answer(lab, bob, alice);
        const peer = bob.peer(alice);
        const derived = () => peer.keypairs.current ?? peer.keypairs.next;
        secrets.clear();
        const steps = begin(bob, message);
        for (let i = 1; i < at; i++) steps.next();
        if (steps.next().done) {
          equal(at, kind === "initiation" ? 6 : 3, "all places were tried");
          break;
        }
        act(lab, alice, bob);
        for (const _ of steps);
        equal(derived() !== null, survives);
        const { drops } = bob.device;
        const reason = event === "the peer is removed" && kind === "initiation" && at === 1
          ? Drop.UnknownPeer
          : Drop.NotReady;
        equal(drops.of(reason), survives ? 0 : 1);
        equal(drops.of(Drop.BadTimestamp), 0);
        equal(
          left(secrets, bob, peer.staticStatic),
          0,
          "no secret is left in the memory in which it was computed",
        );
      }
    });
  }
}

Deno.test("a response to an initiation that was repeated meanwhile is dropped, and the next one is accepted", () => {
  const { lab, alice, bob } = pair();
  const response = answer(lab, alice, bob);
  const steps = begin(alice, response);
  steps.next();
  lab.loses = () => true;
  lab.advance(6_000);
  equal(lab.record.at(-1)!.kind, "initiation");
  lab.loses = () => false;
  for (const _ of steps);
  equal(alice.peer(bob).keypairs.current, null);
  lab.advance(6_000);
  ok(alice.peer(bob).keypairs.current);
  equal(bob.received.length, 1);
});

Deno.test("packets of a session are sent and received between the steps of the next handshake", () => {
  const { lab, alice, bob } = session();
  lab.advance(121_000);
  const initiation = held(lab, () => alice.send(bob));
  ok(initiation.kind === "initiation" || lab.record.some(({ kind }) => kind === "initiation"));
  const steps = begin(bob, lab.record.find(({ kind }) => kind === "initiation")!);
  for (let more = true; more;) {
    const before = [alice.received.length, bob.received.length];
    bob.send(alice);
    alice.send(bob);
    lab.settle();
    deepEqual([alice.received.length, bob.received.length], before.map((count) => count + 1));
    more = !steps.next().done;
  }
  ok(bob.peer(alice).keypairs.next);
});

Deno.test("abandoned work leaves no secret behind", () => {
  for (let at = 1; at <= 5; at++) {
    const { crypto, secrets } = counted();
    const { lab, alice, bob } = pair({ backend: { crypto, transport: () => new NobleKeypairs() } });
    const steps = begin(bob, held(lab, () => alice.send(bob)));
    secrets.clear();
    for (let i = 0; i < at; i++) steps.next();
    steps.return();
    equal(left(secrets, bob, bob.peer(alice).staticStatic), 0);
  }
});

Deno.test("setting the same private key again leaves no copy of it", () => {
  const { crypto, secrets } = counted();
  const { lab, alice } = pair({ backend: { crypto, transport: () => new NobleKeypairs() } });
  secrets.clear();
  alice.device.setPrivateKey(alice.device.privateKey!.slice(), lab.now);
  equal([...secrets].filter((secret) => secret !== alice.device.privateKey).length, 0);
});

Deno.test("a closed device and its peers have no secrets", () => {
  const { crypto: counting, secrets } = counted();
  const crypto: Crypto = {
    ...counting,
    mac: (out, key, data) => {
      secrets.add(key);
      nobleCrypto.mac(out, key, data);
    },
  };
  const presharedKey = new Uint8Array(32).fill(5);
  const { lab, alice, bob } = pair({
    backend: { crypto, transport: () => new NobleKeypairs() },
    presharedKey,
  });
  // A cookie, a session, and an initiation without an answer.
  bob.underLoad = true;
  alice.send(bob);
  lab.advance(6_000);
  bob.underLoad = false;
  lab.loses = () => true;
  lab.advance(121_000);
  alice.send(bob);
  ok(alice.peer(bob).handshake && alice.peer(bob).keypairs.current && bob.peer(alice).keypairs.current);
  const kept = [alice, bob].map((host) => [...host.device.peers][0]!.presharedKey!);
  deepEqual(kept, [presharedKey, presharedKey]);
  for (const host of [alice, bob]) {
    host.device.close(lab.now);
    equal((host.transport as NobleKeypairs).slots.size, 0);
  }
  equal(left(secrets, alice), 0);
  equal(kept.flatMap((key) => [...key]).some((byte) => byte !== 0), false);
});
