/**
 * Measures handshakes: how many a daemon answers per second, and how a hundred per second affect packets.
 *
 * @module
 */

import { eventually, sleep } from "../netns/lab/exec.ts";
import type { Process } from "../netns/lab/host.ts";
import { formatConfig } from "../netns/lab/keys.ts";
import { ADDRESSES } from "../netns/lab/pair.ts";
import { V8_FLAGS } from "../../core/v8_flags.ts";
import { type Answers, NETWORK, type Order } from "./initiate.ts";
import { encodeInitiations, type Initiations, INITIATORS, makeInitiations } from "./initiations.ts";
import type { Measurement } from "./measurement.ts";
import { roundTrips } from "./round_trips.ts";
import { KEYS, type Session } from "./session.ts";
import { median, percentile } from "./statistics.ts";

/** Initiations per second while round trips are measured. */
const RATE = 100;
/** Of each peer's initiations, those for that; the others are sent as fast as they are answered. */
const PACED = 2;
const PER_PEER = 26;
const PROGRAM = new URL("./initiate.ts", import.meta.url).pathname;

let initiations: Initiations | undefined;

/** Round trips through the tunnel, during handshakes of other peers. */
export const BESIDE_HANDSHAKES: Measurement = {
  name: "rtt-handshakes",
  rows: [
    { title: `Round trip during ${RATE} handshakes per second, median`, unit: "ms", better: "less" },
    { title: `Round trip during ${RATE} handshakes per second, 99th percentile`, unit: "ms", better: "less" },
  ],
  async measure(session, seconds) {
    const process = await initiate(session, {
      first: 0,
      end: PACED * INITIATORS,
      rate: RATE,
      // Continues until the pings have ended.
      seconds: seconds + 2,
    });
    await eventually("the initiators", () => process.output() !== "");
    await sleep(200);
    const times = await roundTrips(session, seconds);
    const { answered } = await answers(process);
    const expected = RATE * (seconds + 2);
    if (answered < 0.9 * expected) {
      throw new Error(`Only ${answered} of ${expected} handshakes were answered`);
    }
    return [median(times), percentile(times, 0.99)];
  },
};

/** Handshakes at saturation. */
export const ANSWERED: Measurement = {
  name: "handshakes",
  rows: [{ title: "Handshakes answered", unit: "1/s", better: "more" }],
  scales: true,
  async measure(session, seconds) {
    const process = await initiate(session, {
      first: PACED * INITIATORS,
      end: PER_PEER * INITIATORS,
      seconds,
    });
    const { answered, seconds: taken } = await answers(process);
    if (answered === 0) throw new Error("No handshake was answered");
    return [answered / taken];
  },
};

/** Starts the initiators on the far host. The near daemon has them as peers. */
async function initiate(session: Session, what: Pick<Order, "first" | "end" | "rate" | "seconds">) {
  initiations ??= makeInitiations(KEYS.near.publicKey, PER_PEER);
  const { near, far } = session.hosts;
  const file = `${far.scratch}/initiations`;
  if (!session.initiatorsKnown) {
    await session.near.configure(
      formatConfig({ peers: initiations.publicKeys.map((publicKey) => ({ publicKey, allowedIps: [] })) })
        .replace("[Interface]\n", ""),
      "addconf",
    );
    await near.sh(`ip route add ${NETWORK}.0.0/16 via ${ADDRESSES.far.outside[4]}`);
    await far.sh(`ip route add local ${NETWORK}.0.0/16 dev lo`);
    await Deno.writeFile(far.path(file), encodeInitiations(initiations));
    session.initiatorsKnown = true;
  }
  const { outside, port } = ADDRESSES.near;
  const order: Order = { ...what, file, address: outside[4], port, publicKey: KEYS.near.publicKey };
  const words = ["run", "--quiet", "--allow-all", "--no-check", `--v8-flags=${V8_FLAGS}`, PROGRAM];
  return await far.start([Deno.execPath(), ...words, JSON.stringify(order)]);
}

async function answers(process: Process): Promise<Answers> {
  const { code } = await process.ended;
  const [, line] = process.output().trim().split("\n");
  if (code !== 0 || line === undefined) throw new Error(`The initiators failed: ${process.output()}`);
  return JSON.parse(line) as Answers;
}
