/**
 * What is measured, and how. Each measurement works on a session of its contender and gives one or more figures.
 *
 * @module
 */

import { must, sleep } from "../netns/lab/exec.ts";
import { ADDRESSES } from "../netns/lab/pair.ts";
import { type Flow, flow } from "../netns/lab/traffic.ts";
import { wgdCommand } from "../netns/lab/tunnel.ts";
import type { Session } from "./session.ts";
import { median, percentile } from "./statistics.ts";

/** A row of the table. */
export interface Row {
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
}

/** Something to measure. */
export interface Measurement {
  /** What `--only` calls it. */
  readonly name: string;
  readonly rows: readonly Row[];
  /** Family of the packets outside; one session serves all measurements of a family. @default {4} */
  readonly family?: 4 | 6;
  /**
   * Measures once.
   *
   * @param seconds How long each of its parts takes.
   * @returns A figure for each row, in their order.
   */
  measure(session: Session, seconds: number): Promise<number[]>;
}

const NEAR = ADDRESSES.near.inside, FAR = ADDRESSES.far.inside;
/** Inner datagrams that, with their headers, fill most of an MTU of 1420. */
const LARGE = 1300;
const SMALL = 64;
const PING_INTERVAL = 0.005;

const GIGABITS = "Gbit/s";

/** All there are, in the order of the table. */
export const MEASUREMENTS: readonly Measurement[] = [
  {
    name: "tcp",
    rows: [
      { title: "TCP, one flow, there", unit: GIGABITS, better: "more" },
      { title: "TCP, one flow, back", unit: GIGABITS, better: "more" },
      { title: "Processor time of both daemons, a gigabyte of TCP", unit: "s/GB", better: "less" },
    ],
    async measure(session, seconds) {
      const before = await session.processorSeconds();
      const there = await through(session, { seconds });
      const back = await through(session, { seconds, reverse: true });
      const used = await session.processorSeconds() - before;
      return [there.rate / 1e9, back.rate / 1e9, used / ((there.bytes + back.bytes) / 1e9)];
    },
  },
  {
    name: "tcp8",
    rows: [{ title: "TCP, eight flows", unit: GIGABITS, better: "more" }],
    measure: async (session, seconds) => [(await through(session, { seconds, streams: 8 })).rate / 1e9],
  },
  {
    name: "tcp6",
    rows: [{ title: "TCP, one flow, IPv6 inside and outside", unit: GIGABITS, better: "more" }],
    family: 6,
    measure: async (session, seconds) => [(await through(session, { seconds }, FAR[6])).rate / 1e9],
  },
  {
    name: "udp",
    rows: [
      { title: `UDP of ${LARGE} bytes, received of a flood`, unit: GIGABITS, better: "more" },
      { title: `UDP of ${SMALL} bytes, received of a flood`, unit: "packets/s", better: "more" },
    ],
    async measure(session, seconds) {
      const large = await through(session, { seconds, udp: true, size: LARGE });
      const small = await through(session, { seconds, udp: true, size: SMALL });
      return [large.rate / 1e9, small.rate / (8 * SMALL)];
    },
  },
  {
    name: "rtt",
    rows: [
      { title: "Round trip, median", unit: "ms", better: "less" },
      { title: "Round trip, 99 of 100", unit: "ms", better: "less" },
    ],
    async measure(session, seconds) {
      const times = await roundTrips(session, seconds);
      return [median(times), percentile(times, 0.99)];
    },
  },
  {
    name: "rtt-load",
    rows: [
      { title: "Round trip beside a TCP flow, median", unit: "ms", better: "less" },
      { title: "Round trip beside a TCP flow, 99 of 100", unit: "ms", better: "less" },
    ],
    async measure(session, seconds) {
      let times: number[] = [];
      const meanwhile = async () => {
        // Past the flow's slow start.
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
    // After the others, since it is the peak of all they did.
    name: "memory",
    rows: [{ title: "Peak resident memory, a side", unit: "MB", better: "less" }],
    measure: async (session) => [await session.peakMemory() / 1e6],
  },
];

function through({ hosts }: Session, how: Flow, address: string = FAR[4]) {
  return flow(hosts.near, hosts.far, address, how);
}

/** Round trips in milliseconds from far to near. */
async function roundTrips({ hosts }: Session, seconds: number): Promise<number[]> {
  const count = String(Math.round(seconds / PING_INTERVAL));
  const words = ["ping", "-c", count, "-i", String(PING_INTERVAL), "-W", "2", NEAR[4]];
  const { stdout } = await hosts.far.run(words, { timeout: (seconds + 20) * 1000 });
  const times = [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, time]) => Number(time));
  if (times.length < Number(count) / 2) {
    throw new Error(`Only ${times.length} of ${count} pings were answered`);
  }
  return times;
}
