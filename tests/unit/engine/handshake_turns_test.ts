import { equal, ok } from "node:assert/strict";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import { BenchPair } from "./bench_pair.ts";
import { strangeInitiation } from "./strange_initiation.ts";

const WAITING = 80;
/** Milliseconds of a step on the clock of these tests. */
const STEP = 0.1;

/** The number of messages that one turn finishes, if packets took this many milliseconds of it. */
function endedInATurn(packets: number): number {
  const { near, now } = new BenchPair();
  const from = endpointWords(parseSocketAddress("198.51.100.7:7")!);
  for (let i = 0; i < WAITING; i++) near.handshakes.enqueue(strangeInitiation(near), from, now);
  equal(near.handshakes.length, WAITING);
  let time = now.boot + packets - STEP;
  ok(near.handshakes.turn(now, () => time += STEP));
  return WAITING - near.handshakes.length;
}

Deno.test("a turn without packets does one step of one handshake", () => {
  equal(endedInATurn(0), 1);
});

Deno.test("handshakes get a fifth of the time, however long packets take", () => {
  // A stranger's message takes one step: one multiplication, after which the key is found to be unknown.
  const ended = endedInATurn(8);
  ok(ended >= 2 / STEP - 1 && ended <= 2 / STEP + 1, `${ended} in two milliseconds`);
});

Deno.test("a machine that was suspended during a turn does not process the whole queue at once", () => {
  const ended = endedInATurn(3_600_000);
  ok(ended >= 5 / STEP - 1 && ended <= 5 / STEP + 1, `${ended} in five milliseconds`);
});
