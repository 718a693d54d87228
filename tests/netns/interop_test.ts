import { deepEqual, equal, ok } from "node:assert/strict";
import { ADDRESSES, CABLE, Pair, type Side } from "./lab/pair.ts";
import { eventually, sleep } from "./lab/exec.ts";
import type { Machine } from "./lab/host.ts";
import { rootTest } from "./lab/rooted.ts";
import { flow, type Flowed, ping, pingUntilAnswered, sweep } from "./lab/traffic.ts";
import { subject } from "./lab/tunnel.ts";

const OTHERS = ["wireguard-go", "boringtun", "kernel"] as const;
const MTU = 1420;
const { near: NEAR, far: FAR } = ADDRESSES;
const own = subject();

const MATRIX = (["near", "far"] as const).flatMap((initiator) =>
  ([4, 6] as const).flatMap((family) =>
    [false, true].map((presharedKey) => ({ initiator, family, presharedKey }))
  )
);

for (const other of OTHERS) {
  await rootTest(`${own} with ${other}`, { peers: [other] }, async (t) => {
    await using pair = await Pair.create(other);
    const name = (side: Side) => side === "near" ? own : other;

    for (const cell of MATRIX) {
      const { initiator, family, presharedKey } = cell;
      const secret = presharedKey ? ", preshared key" : "";
      await t.step(`${name(initiator)} initiates over IPv${family}${secret}`, async () => {
        await using tunnels = await pair.tunnels({ ...cell, mtu: MTU });
        const responder = opposite(initiator);

        const first = await ping(pair[initiator], ADDRESSES[responder].inside[4], { count: 1, wait: 4 });
        equal(first.answered, 1, "the packet that began the handshake was not lost");
        ok(await tunnels.near.latestHandshake() > 0, "near shows a handshake");
        // boringtun reports the handshake's age in place of its time: 0 in the first second.
        if (other !== "boringtun") ok(await tunnels.far.latestHandshake() > 0, "far shows a handshake");
        const { outside, port } = ADDRESSES[initiator];
        const host = family === 6 ? `[${outside[6]}]` : outside[4];
        equal(
          await tunnels[responder].endpoint(),
          `${host}:${port}`,
          "the responder knows where the initiator is",
        );

        for (const inside of [4, 6] as const) {
          await losesNothing(pair.near, FAR.inside[inside], other);
          await losesNothing(pair.far, NEAR.inside[inside], other);
          equal(await sweep(pair.near, FAR.inside[inside], MTU), MTU - (inside === 4 ? 28 : 48) + 1);
        }
        const out = await flow(pair.near, pair.far, FAR.inside[4], { amount: 4e6 });
        const back = await flow(pair.near, pair.far, FAR.inside[6], { amount: 4e6, reverse: true });
        ok(out.bytes > 1e6 && back.bytes > 1e6, `TCP carried ${out.bytes} bytes out and ${back.bytes} back`);
        const { sent, received } = await tunnels.near.transfer();
        ok(sent > out.bytes && received > back.bytes, "the tunnel's counters include all bytes");
      });
    }

    for (const victim of ["near", "far"] as const) {
      await t.step(`TCP continues when ${name(victim)} is killed and started again`, async () => {
        await using tunnels = await pair.tunnels({ family: 6, presharedKey: true });
        await pingUntilAnswered(pair.near, FAR.inside[4]);
        let before = 0;
        // At this rate, most of it is sent after the restart. An emulated machine may need several seconds to begin again.
        const { bytes } = await flow(pair.near, pair.far, FAR.inside[4], {
          amount: 2.5e6,
          rate: "5M",
          // The victim sends: its first segment after the restart makes the new handshake, so nothing waits 15 s.
          reverse: victim === "far",
          meanwhile: async () => {
            before = await eventually("the flow to begin", async () => {
              const { received, sent } = await tunnels[victim].transfer();
              return received + sent > 1e5 ? received + sent : undefined;
            }, { within: 30_000, every: 200 });
            await tunnels[victim].kill();
            await tunnels[victim].restart();
          },
        });
        ok(before < 1e6 && bytes > 2e6, `${before} bytes before, ${bytes} arrived`);
      });
    }

    for (const mover of ["near", "far"] as const) {
      await t.step(`TCP continues when ${name(mover)} changes address and port`, async () => {
        await using tunnels = await pair.tunnels();
        await pingUntilAnswered(pair.near, FAR.inside[4]);
        const address = ADDRESSES[mover].outside[4];
        const moved = address.replace(/\d+$/, "7$&");
        const move = (from: string, to: string) =>
          pair[mover].sh(`ip address del ${from}/24 dev ${CABLE}\nip address add ${to}/24 dev ${CABLE}`);
        const flowed = await flow(pair.near, pair.far, FAR.inside[4], {
          seconds: 3,
          rate: "5M",
          reverse: mover === "far",
          meanwhile: async () => {
            await sleep(1000);
            await move(address, moved);
            await tunnels[mover].set("listen-port", "4321");
          },
        });
        await move(moved, address);
        equal(await tunnels[opposite(mover)].endpoint(), `${moved}:4321`);
        ok(longestSilence(flowed) < 20, `longest silence was ${longestSilence(flowed) / 10} s`);
      });
    }
  });
}

await rootTest(`${own} with every other: TCP continues through a rekey after two minutes`, {
  peers: OTHERS,
  full: true,
}, async (t) => {
  const runs = OTHERS.flatMap((other) =>
    (["near", "far"] as const).map((initiator) =>
      t.step({
        name: `${initiator === "near" ? own : other} initiates${
          initiator === "near" ? ` with ${other}` : ""
        }`,
        sanitizeOps: false,
        sanitizeResources: false,
        sanitizeExit: false,
        fn: async () => {
          await using pair = await Pair.create(other);
          await using tunnels = await pair.tunnels({ initiator });
          await pingUntilAnswered(
            pair[initiator],
            ADDRESSES[initiator === "near" ? "far" : "near"].inside[4],
          );
          const before = await tunnels.near.latestHandshake();
          const flowed = await flow(pair.near, pair.far, FAR.inside[4], {
            seconds: 135,
            rate: "2M",
            // An initiator only renews its keys in time if it sends data.
            reverse: initiator === "far",
          });
          const after = await tunnels.near.latestHandshake();
          ok(
            after - before >= 119 && after - before < 135,
            `the next handshake came after ${after - before} s`,
          );
          ok(longestSilence(flowed) < 15, `longest silence was ${longestSilence(flowed) / 10} s`);
        },
      })
    )
  );
  await Promise.all(runs);
});

/** The longest series of tenths of a second in which nothing arrived. */
function longestSilence({ tenths }: Flowed): number {
  let longest = 0;
  let current = 0;
  for (const bytes of tenths) {
    current = bytes === 0 ? current + 1 : 0;
    longest = Math.max(longest, current);
  }
  return longest;
}

function opposite(side: Side): Side {
  return side === "near" ? "far" : "near";
}

/** Ten pings, ten answers. A guest in an emulator that got no processor time may try a second time. */
async function losesNothing(from: Machine, to: string, other: string): Promise<void> {
  const whole = { sent: 10, answered: 10 };
  const first = await ping(from, to);
  if (other === "kernel" && first.answered < first.sent) deepEqual(await ping(from, to), whole);
  else deepEqual(first, whole);
}
