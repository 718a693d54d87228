/**
 * The measurements. Each works on a session of its contender and returns one or more figures.
 *
 * @module
 */

import { must, sleep } from "../netns/lab/exec.ts";
import { ADDRESSES } from "../netns/lab/pair.ts";
import { type Flow, flow } from "../netns/lab/traffic.ts";
import { wgdCommand } from "../netns/lab/tunnel.ts";
import { ANSWERED, BESIDE_HANDSHAKES } from "./handshakes.ts";
import type { Measurement } from "./measurement.ts";
import { MANY_AT_ONCE } from "./many_peers.ts";
import { FIRST_PINGS, roundTrips } from "./round_trips.ts";
import { AT_SCALE } from "./scale.ts";
import type { Session } from "./session.ts";
import { median, percentile } from "./statistics.ts";

const FAR = ADDRESSES.far.inside;
/** Inner datagrams that almost fill an MTU of 1420 with their headers. */
const LARGE = 1300;
const SMALL = 64;

/** The factor from one rate of datagrams to the next. */
const PROBE_STEP = 1.3;
const MAX_PROBES = 8;
/** The fraction of lost datagrams above which a higher rate does not help. */
const SATURATED = 0.2;

const GIGABITS = "Gbit/s";

/** All measurements, in the order of the table. */
export const MEASUREMENTS: readonly Measurement[] = [
  {
    name: "tcp",
    rows: [
      { title: "TCP, one flow, forward", unit: GIGABITS, better: "more" },
      { title: "TCP, one flow, reverse", unit: GIGABITS, better: "more" },
      { title: "Processor time of both daemons, per gigabyte of TCP", unit: "s/GB", better: "less" },
      { title: "TCP, one flow: segments retransmitted", unit: "1/GB", better: "less" },
    ],
    scales: true,
    async measure(session, seconds) {
      const before = await session.processorSeconds();
      const there = await through(session, { seconds });
      const back = await through(session, { seconds, reverse: true });
      const used = await session.processorSeconds() - before;
      const gigabytes = (there.bytes + back.bytes) / 1e9;
      const resent = there.resent + back.resent;
      return [there.rate / 1e9, back.rate / 1e9, used / gigabytes, resent / gigabytes];
    },
  },
  {
    name: "tcp8",
    rows: [
      { title: "TCP, eight flows, forward", unit: GIGABITS, better: "more" },
      { title: "TCP, eight flows, reverse", unit: GIGABITS, better: "more" },
    ],
    scales: true,
    async measure(session, seconds) {
      const there = await through(session, { seconds, streams: 8 });
      const back = await through(session, { seconds, streams: 8, reverse: true });
      return [there.rate / 1e9, back.rate / 1e9];
    },
  },
  {
    name: "tcp-both",
    rows: [
      { title: "TCP, both directions at once, together", unit: GIGABITS, better: "more" },
      { title: "TCP, both directions at once: segments retransmitted", unit: "1/GB", better: "less" },
    ],
    scales: true,
    async measure(session, seconds) {
      const { rate, bytes, resent } = await through(session, { seconds, both: true });
      return [rate / 1e9, resent / (bytes / 1e9)];
    },
  },
  {
    name: "tcp6-inside",
    rows: [{ title: "TCP, one flow, IPv6 inside, IPv4 outside", unit: GIGABITS, better: "more" }],
    scales: true,
    measure: async (session, seconds) => [(await through(session, { seconds }, FAR[6])).rate / 1e9],
  },
  {
    name: "tcp6-outside",
    rows: [{ title: "TCP, one flow, IPv4 inside, IPv6 outside", unit: GIGABITS, better: "more" }],
    session: 6,
    scales: true,
    measure: async (session, seconds) => [(await through(session, { seconds })).rate / 1e9],
  },
  {
    name: "udp",
    rows: [
      { title: `UDP of ${LARGE} bytes, received at the best rate`, unit: GIGABITS, better: "more" },
      { title: `UDP of ${SMALL} bytes, received at the best rate`, unit: "packets/s", better: "more" },
    ],
    scales: true,
    async measure(session, seconds) {
      const large = await goodput(session, LARGE, seconds);
      const small = await goodput(session, SMALL, seconds);
      return [large / 1e9, small / (8 * SMALL)];
    },
  },
  {
    name: "rtt",
    rows: [
      { title: "Round trip, median", unit: "ms", better: "less" },
      { title: "Round trip, 99th percentile", unit: "ms", better: "less" },
    ],
    async measure(session, seconds) {
      const times = await roundTrips(session, seconds);
      return [median(times), percentile(times, 0.99)];
    },
  },
  {
    name: "rtt-load",
    rows: [
      { title: "Round trip during a TCP flow, median", unit: "ms", better: "less" },
      { title: "Round trip during a TCP flow, 99th percentile", unit: "ms", better: "less" },
    ],
    async measure(session, seconds) {
      let times: number[] = [];
      const meanwhile = async () => {
        // After the flow's slow start.
        await sleep(500);
        times = await roundTrips(session, seconds);
      };
      await through(session, { seconds: seconds + 1, meanwhile });
      return [median(times), percentile(times, 0.99)];
    },
  },
  {
    name: "start",
    rows: [
      { title: "From start until the interface is up and configured", unit: "ms", better: "less" },
      { title: "A new key: wgd genkey, for the others wg genkey", unit: "ms", better: "less" },
    ],
    async measure(session) {
      const words = session.contender.implementation === "wgd" ? wgdCommand() : ["wg"];
      const times: number[] = [];
      for (let i = 0; i < 5; i++) {
        const before = performance.now();
        await must([...words, "genkey"]);
        times.push(performance.now() - before);
      }
      return [session.upAfter, median(times)];
    },
  },
  {
    // After the others, because it is the peak of all of them.
    name: "memory",
    rows: [{ title: "Peak resident memory, per side", unit: "MB", better: "less" }],
    measure: async (session) => [await session.peakMemory() / 1e6],
  },
  FIRST_PINGS,
  // These have their own peers.
  BESIDE_HANDSHAKES,
  ANSWERED,
  MANY_AT_ONCE,
  ...AT_SCALE,
];

function through({ hosts }: Session, how: Flow, address: string = FAR[4]) {
  return flow(hosts.near, hosts.far, address, how);
}

/**
 * The most bits per second that arrive, at any sending rate. A flood would measure something else: a sender without a
 * limit takes a processor from the daemons, and lost packets have often been sealed for nothing. The highest rate
 * without loss would also measure something else: the other programs on the machine.
 */
async function goodput(session: Session, size: number, seconds: number): Promise<number> {
  // iperf3 accepts whole seconds; 0 means for ever.
  const part = Math.max(1, Math.floor(seconds / 3));
  const flood = await through(session, { seconds: part, udp: true, size });
  let best = flood.rate;
  let rate = flood.rate;
  // One lower result may be an accident.
  let vain = 0;
  for (let probe = 0; probe < MAX_PROBES; probe++, rate *= PROBE_STEP) {
    const { rate: received, lost } = await through(session, {
      seconds: part,
      udp: true,
      size,
      rate: rate.toFixed(0),
    });
    vain = received > best ? 0 : vain + 1;
    best = Math.max(best, received);
    if (lost > SATURATED && vain >= 2) break;
  }
  return best;
}
