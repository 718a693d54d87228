/**
 * What many peers cost, of whom one is awake.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { randomFillSync } from "node:crypto";
import { sleep } from "../netns/lab/exec.ts";
import { formatConfig, type PeerConfig } from "../netns/lab/keys.ts";
import { ADDRESSES } from "../netns/lab/pair.ts";
import { flow, pingUntilAnswered } from "../netns/lab/traffic.ts";
import type { Measurement } from "./measurement.ts";
import { configuration, type Session } from "./session.ts";

const COUNTS = [1_000, 10_000, 100_000];
/** Seconds that an idle daemon is watched at most; in a quick run fewer. */
const IDLE = 5;
/** Milliseconds until a daemon has come to rest. */
const REST_TIME = 1_000;
/** A contender that takes longer to be configured is left out. */
const LIMIT = 60_000;

/** Peers at scale, a measurement for each number of them. */
export const AT_SCALE: readonly Measurement[] = COUNTS.map((count): Measurement => {
  const peers = count.toLocaleString("en");
  return {
    name: `peers-${count}`,
    session: "own",
    rows: [
      { title: `${peers} peers: \`wg setconf\``, unit: "s", better: "less" },
      { title: `${peers} peers: \`wg show dump\``, unit: "s", better: "less" },
      { title: `${peers} peers: resident memory`, unit: "MB", better: "less" },
      { title: `${peers} peers: processor time when idle`, unit: "ms/s", better: "less" },
      {
        title: `${peers} peers: TCP to one of them, relative to a single peer`,
        unit: "ratio",
        better: "more",
      },
    ],
    measure: (session, seconds) => measure(session, count, seconds),
  };
});

async function measure(session: Session, count: number, seconds: number): Promise<number[]> {
  const { near, far } = session.hosts;
  const alone = await flow(near, far, ADDRESSES.far.inside[4], { seconds });

  const config = configuration("near", 4);
  const text = formatConfig({ ...config, peers: [...silentPeers(count - 1), ...config.peers!] });
  await near.sh("umask 077; cat > /run/lab/many.conf", { stdin: text });
  const set = await timed(() => near.run(["wg", "setconf", "wg0", "/run/lab/many.conf"], { timeout: LIMIT }));
  // Killed, as what runs out of its time is; a daemon that hangs up kills `wg` by SIGPIPE.
  if (set.result.code === 137) throw new Error(`wg setconf took more than ${LIMIT / 1e3} s`);
  const dump = await timed(() => near.sh("wg show wg0 dump | wc -l", { timeout: LIMIT }));
  const known = Number(dump.result) - 1;
  if (set.result.code !== 0 || known !== count) {
    throw new Error(`${known} of ${count} peers were accepted`);
  }
  await sleep(REST_TIME);
  const watched = Math.min(IDLE, 2 * seconds);
  const before = await session.processorSeconds("near");
  await sleep(1e3 * watched);
  const idle = await session.processorSeconds("near") - before;
  const memory = await session.residentMemory();

  await pingUntilAnswered(near, ADDRESSES.far.inside[4]);
  const among = await flow(near, far, ADDRESSES.far.inside[4], { seconds });
  return [set.seconds, dump.seconds, memory / 1e6, 1e3 * idle / watched, among.rate / alone.rate];
}

/** Peers without an endpoint, one address each. */
function* silentPeers(count: number): Generator<PeerConfig> {
  const key = Buffer.alloc(32);
  for (let i = 0; i < count; i++) {
    randomFillSync(key);
    yield {
      publicKey: key.toString("base64"),
      allowedIps: [`10.${128 + (i >> 16)}.${i >> 8 & 255}.${i & 255}/32`],
    };
  }
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const start = performance.now();
  const result = await work();
  return { result, seconds: (performance.now() - start) / 1e3 };
}
