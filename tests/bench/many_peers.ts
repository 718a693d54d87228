/**
 * Measures many active peers, each with few packets of all sizes.
 *
 * @module
 */

import { eventually } from "../netns/lab/exec.ts";
import type { Process } from "../netns/lab/host.ts";
import { formatConfig } from "../netns/lab/keys.ts";
import { ADDRESSES } from "../netns/lab/pair.ts";
import { V8_FLAGS } from "../../core/v8_flags.ts";
import type { Order, Outcome, Phase } from "./active_peers.ts";
import { innerAddress, peerKeys } from "./active_peers.ts";
import type { Measurement } from "./measurement.ts";
import { KEYS, type Session } from "./session.ts";

const PEERS = 1_000;
/** Packets per second of all peers together, if they are not sent as fast as they are answered. */
const RATE = 5_000;
const PROGRAM = new URL("./active_peers.ts", import.meta.url).pathname;
/** Milliseconds that all handshakes may take. */
const HANDSHAKES_TIMEOUT = 60_000;
const what = `${PEERS.toLocaleString("en")} active peers`;

/** Pings of all peers, each answered by the near host's kernel through the tunnel. */
export const MANY_AT_ONCE: Measurement = {
  name: "many-peers",
  session: "own",
  rows: [
    { title: `${what}: packets answered`, unit: "packets/s", better: "more" },
    { title: `${what}: processor time, a million packets answered`, unit: "s", better: "less" },
    { title: `${what}, ${RATE} packets/s: processor time`, unit: "ms/s", better: "less" },
    { title: `${what}, ${RATE} packets/s: 99 % answered within`, unit: "ms", better: "less" },
  ],
  async measure(session, seconds) {
    const process = await play(session, seconds);
    const phase = async (name: Phase) => {
      await printed(process, `${name} begins`);
      const before = await session.processorSeconds("near");
      const line = await printed(process, `${name} `, (seconds + 10) * 1e3);
      const used = await session.processorSeconds("near") - before;
      return { used, ...JSON.parse(line.slice(name.length)) as Outcome };
    };
    const paced = await phase("paced");
    const saturated = await phase("saturated");
    await process.ended;
    return [
      saturated.answered / saturated.seconds,
      saturated.used / saturated.answered * 1e6,
      paced.used / paced.seconds * 1e3,
      paced.slowest,
    ];
  },
};

/** Starts all peers on the far host. The near daemon has them as peers. */
async function play(session: Session, seconds: number): Promise<Process> {
  const { near, far } = session.hosts;
  const peers = peerKeys(PEERS).map(({ publicKey }, i) => ({
    publicKey: publicKey.toBase64(),
    allowedIps: [`${innerAddress(i).join(".")}/32`],
  }));
  await session.near.configure(formatConfig({ peers }).replace("[Interface]\n", ""), "addconf");
  await near.sh(`ip route add ${innerAddress(0).slice(0, 2).join(".")}.0.0/16 dev ${session.near.name}`);
  const { outside, inside, port } = ADDRESSES.near;
  const order: Order = {
    peers: PEERS,
    address: outside[4],
    port,
    publicKey: KEYS.near.publicKey,
    target: inside[4],
    rate: RATE,
    seconds,
  };
  const words = ["run", "--quiet", "--allow-all", "--no-check", `--v8-flags=${V8_FLAGS}`, PROGRAM];
  return await far.start([Deno.execPath(), ...words, JSON.stringify(order)]);
}

/** Waits for a complete line that begins with this text. */
async function printed(process: Process, start: string, within = HANDSHAKES_TIMEOUT): Promise<string> {
  let over = false;
  process.ended.then(() => over = true);
  const line = await eventually(`"${start}" of the active peers`, () => {
    const lines = process.output().split("\n").slice(0, -1);
    const found = lines.find((line) => line.startsWith(start) && line !== `${start}begins`);
    return found ?? (over ? "" : undefined);
  }, { within, every: 10 });
  if (line === "") throw new Error(`The active peers failed: ${process.output()}`);
  return line;
}
