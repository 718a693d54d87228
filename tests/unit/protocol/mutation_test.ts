import { deepEqual, equal, ok } from "node:assert/strict";
import { beforeMac1, mac1, readIndex, writeIndex } from "../../../core/protocol/messages.ts";
import { Drop } from "../../../core/protocol/drops.ts";
import { type Backend, handleHandshake, type Host, Lab, noble } from "../../lab.ts";
import { wasm } from "../../wasm_backend.ts";

const FULL = Deno.env.get("WGD_TEST_FULL") ? 10 : 1;

/** A fast reproducible generator (xorshift32). */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % sides;
  };
}

/**
 * A host in every state at once: a confirmed session with one peer, an unconfirmed one with another, an initiation out
 * to a third; and all messages that led there, with the response that the third sent and that never arrived.
 */
function busyHost(backend: Backend) {
  const lab = new Lab(backend);
  const [target, confirmed, unconfirmed, waiting] = ["target", "a", "b", "c"].map((name) =>
    lab.host(name)
  ) as [
    Host,
    Host,
    Host,
    Host,
  ];
  for (const other of [confirmed, unconfirmed, waiting]) lab.introduce(target, other);
  // A cookie first, and with it the second initiation is let in.
  confirmed.underLoad = true;
  target.send(confirmed);
  lab.advance(5_400);
  confirmed.send(target);
  lab.settle();
  lab.loses = ({ kind }) => kind === "keepalive" || kind === "data";
  unconfirmed.send(target);
  lab.settle();
  lab.loses = ({ kind }) => kind === "response";
  target.send(waiting);
  lab.settle();
  // What would confirm the unconfirmed session is left out: it is genuine.
  const corpus = lab.record.filter(({ to, sender, kind }) =>
    to[2] === target.address[2] && !(sender === unconfirmed && kind !== "initiation")
  ).map(({ bytes }) => bytes);
  const indices = [...target.device.peers].flatMap(({ handshake, keypairs }) =>
    [handshake, keypairs.previous, keypairs.current, keypairs.next].filter((entry) => entry !== null)
      .map(({ localIndex }) => localIndex)
  );
  return { lab, target, corpus, indices };
}

/** All that a datagram could have changed. */
function state({ device }: Host) {
  return [...device.peers].map((peer) => ({
    ...peer,
    endpoint: peer.endpoint?.slice(),
    latestTimestamp: peer.latestTimestamp?.slice(),
    hash: peer.handshake?.hash.slice(),
    chainingKey: peer.handshake?.chainingKey.slice(),
    ephemeral: peer.handshake?.ephemeral.slice(),
    awaitsCookie: peer.cookieJar?.awaitsReply,
    keypairs: { ...peer.keypairs },
    staged: peer.stagedCount,
    deadline: device.nextDeadline(),
  }));
}

/** Changes a message in one of many ways. @returns The part of `buffer` that holds it. */
function mutate(
  buffer: Uint8Array,
  corpus: Uint8Array[],
  indices: number[],
  roll: (sides: number) => number,
): Uint8Array {
  const original = corpus[roll(corpus.length)]!;
  buffer.set(original);
  let { length } = original;
  for (let changes = 1 + roll(3); changes > 0; changes--) {
    switch (roll(9)) {
      case 0:
      case 1:
      case 2:
        buffer[roll(length)]! ^= 1 << roll(8);
        break;
      case 3:
        buffer[roll(length)] = roll(256);
        break;
      case 4:
        length = 1 + roll(length);
        break;
      case 5: {
        const more = roll(64);
        for (let i = 0; i < more; i++) buffer[length + i] = roll(256);
        length += more;
        break;
      }
      case 6:
        buffer[0] = roll(6);
        break;
      case 7: {
        const start = roll(length), end = start + roll(length - start);
        buffer.fill(roll(2) * 0xff, start, end);
        break;
      }
      case 8:
        if (length >= 12) writeIndex(buffer, 4 + 4 * roll(2), indices[roll(indices.length)]!);
        break;
    }
  }
  return buffer.subarray(0, length);
}

/** Makes mac1 right, so that what lies behind it is reached. */
function reseal(bytes: Uint8Array, key: Uint8Array, backend: Backend): void {
  if (bytes.length > 32) backend.crypto.mac(mac1(bytes), key, beforeMac1(bytes));
}

/**
 * Whether all that is authenticated of a handshake message, everything but the sender's index and the MACs, is
 * untouched. Such a message is as good as the original.
 */
function isGenuine(bytes: Uint8Array, corpus: Uint8Array[]): boolean {
  return corpus.some((original) => {
    if (original.length !== bytes.length || original[0] !== bytes[0]) return false;
    const end = original.length - (original[0] === 1 || original[0] === 2 ? 32 : 0);
    for (let i = 8; i < end; i++) if (original[i] !== bytes[i]) return false;
    return true;
  });
}

function bombard(backend: Backend, datagrams: number, resealEvery: number): void {
  const { lab, target, corpus, indices } = busyHost(backend);
  equal(new Set(corpus.map((bytes) => bytes[0])).size, 4, "the corpus has messages of all four types");
  const { device, transport } = target;
  const roll = dice(0x5eed);
  const buffer = new Uint8Array(4_096);
  const from = target.address.slice();
  const key = new Uint8Array(32);
  backend.crypto.hash(key, new TextEncoder().encode("mac1----"), device.publicKey!);
  const before = state(target);
  const dropsBefore = device.drops.counts.slice();
  let cookies = 0;

  for (let i = 1; i <= datagrams; i++) {
    const bytes = mutate(buffer, corpus, indices, roll);
    from[2] = roll(0x7fffffff);
    from[1] = roll(65_536);
    const type = bytes.length >= 16 ? readIndex(bytes, 0) : 0;
    if (type === 4) {
      const keypair = device.sessions.keypair(readIndex(bytes, 4), lab.now);
      // Replays among them; what the window forgets it must not forget here.
      if (keypair !== null) equal(transport.open(keypair.slot, bytes.slice()), null);
    } else {
      if (i % resealEvery === 0) reseal(bytes, key, backend);
      if (type === 2 && isGenuine(bytes, corpus)) continue;
      handleHandshake(device, bytes, from, i % 3 === 0, lab.now);
    }
    for (let output = device.poll(); output !== null; output = device.poll()) {
      ok(
        output.kind === "handshake" && output.peer === null && output.bytes.length === 64,
        "the only output is a cookie reply",
      );
      cookies++;
    }
    if (i % 50_000 === 0) deepEqual(state(target), before);
  }
  deepEqual(state(target), before);
  ok(cookies > 0);

  const reached = (reason: Drop) => device.drops.of(reason) - dropsBefore[reason]!;
  for (
    const reason of [
      Drop.Malformed,
      Drop.BadMac1,
      Drop.NeedsCookie,
      Drop.BadStatic,
      Drop.BadTimestamp,
      Drop.ReplayedInitiation,
      Drop.UnknownIndex,
      Drop.BadResponse,
      Drop.BadCookie,
    ]
  ) ok(reached(reason) > 0, `${Drop[reason]} was never reached`);

  // And none of it kept the real response from completing.
  lab.loses = () => false;
  const response = corpus.find((bytes) =>
    bytes[0] === 2 && device.sessions.keypair(readIndex(bytes, 8), lab.now) === null
  )!;
  target.receive(response, target.address);
  ok(target.sent().includes("data"));
}

Deno.test("a million mutated datagrams change nothing and are answered by cookies at most (wasm)", () => {
  bombard(wasm, 1_000_000 * FULL, 20);
});

Deno.test("mutated datagrams change nothing and are answered by cookies at most (noble)", () => {
  bombard(noble, 10_000 * FULL, 10);
});

Deno.test("random bytes of every length from 0 to 2,000 are dropped and counted", () => {
  const { lab, target } = busyHost(wasm);
  const roll = dice(1);
  const before = target.device.drops.of(Drop.Malformed);
  for (let length = 0; length <= 2_000; length++) {
    const bytes = Uint8Array.from({ length }, () => roll(256));
    handleHandshake(target.device, bytes, target.address, false, lab.now);
  }
  equal(target.device.drops.of(Drop.Malformed) - before, 2_001);
});
