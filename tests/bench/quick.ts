/**
 * How long `up` and `down` take: `wgd quick`, and `wg-quick` with each userspace implementation below it, in turns.
 *
 *     deno run --allow-all tests/bench/quick.ts [rounds]
 *
 * @module
 */

import { must } from "../netns/lab/exec.ts";
import { Host } from "../netns/lab/host.ts";
import { generateKeys } from "../netns/lab/keys.ts";
import { wgdCommand } from "../netns/lab/tunnel.ts";
import { ensurePrograms, peer } from "../netns/peers/mod.ts";
import { median } from "./statistics.ts";

/** A tool, and what makes its interfaces. */
export interface Way {
  readonly name: string;
  /** Words before `up FILE` and `down FILE`. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Milliseconds of each round, by file and way. */
export type QuickFigures = Map<string, Map<string, { up: number[]; down: number[] }>>;

/** Whose figures the ratios are taken against. */
const REFERENCE = "wg-quick, wireguard-go";
const NETWORKS: Readonly<Record<string, string>> = {
  "one network": "10.0.0.0/24",
  "everything": "0.0.0.0/0, ::/0",
};

/** The ways there are; `wg-quick` cannot pass arguments on, so each implementation is one word. */
export async function ways(host: Host): Promise<Way[]> {
  await host.sh("cat > /run/lab/wgd; chmod 755 /run/lab/wgd", {
    stdin: `#!/bin/sh\nexec ${wgdCommand().join(" ")} run "$1"\n`,
  });
  const below = (name: string, program: string): Way => ({
    name: `wg-quick, ${name}`,
    command: ["wg-quick"],
    env: { WG_QUICK_USERSPACE_IMPLEMENTATION: program },
  });
  const built = wgdCommand();
  return [
    { name: "wgd quick", command: [...built, "quick"], env: {} },
    below("wgd", built.length === 1 ? built[0]! : "/run/lab/wgd"),
    below("wireguard-go", await peer("wireguard-go")),
  ];
}

/** Brings each file up and down in every way, round after round. */
export async function measureQuick(rounds: number): Promise<QuickFigures> {
  await ensurePrograms("wg", "wg-quick", "nft");
  await using host = await Host.create("client");
  await host.sh(`
    ip link add eth0 type veth peer name far; ip address add 192.0.2.2/24 dev eth0
    ip link set eth0 up; ip link set far up; ip route add default via 192.0.2.1`);
  const [us, server] = [generateKeys(), generateKeys()];
  const figures: QuickFigures = new Map();
  const all = await ways(host);
  for (let round = 0; round < rounds; round++) {
    for (const [what, allowedIps] of Object.entries(NETWORKS)) {
      await host.sh("umask 077; cat > /run/lab/wg0.conf", {
        stdin: `[Interface]\nPrivateKey = ${us.privateKey}\nAddress = 10.0.0.2/24, fd00::2/64\n\n[Peer]\n` +
          `PublicKey = ${server.publicKey}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = ${allowedIps}\n`,
      });
      for (const { name, command, env } of all) {
        const timed = async (action: string) => {
          const start = performance.now();
          await must(host.enter([...command, action, "/run/lab/wg0.conf"]), { env });
          return performance.now() - start;
        };
        const [up, down] = [await timed("up"), await timed("down")];
        // wg-quick does not wait for the process to end.
        await host.sh("while [ -e /run/wireguard/wg0.sock ]; do sleep 0.01; done");
        const ofFile = figures.get(what) ?? figures.set(what, new Map()).get(what)!;
        const ofWay = ofFile.get(name) ?? ofFile.set(name, { up: [], down: [] }).get(name)!;
        ofWay.up.push(up);
        ofWay.down.push(down);
      }
    }
  }
  return figures;
}

/** Medians, the best of each, and ratios of the medians. */
export function formatQuick(figures: QuickFigures): string {
  const lines = [["", "", "median ms", "best ms", "ratio"]];
  for (const [what, ofFile] of figures) {
    for (const action of ["up", "down"] as const) {
      const reference = median(ofFile.get(REFERENCE)![action]);
      for (const [name, { [action]: times }] of ofFile) {
        const middle = median(times);
        lines.push([
          `${action}, ${what}`,
          name,
          middle.toFixed(0),
          Math.min(...times).toFixed(0),
          (middle / reference).toFixed(2),
        ]);
      }
    }
  }
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) =>
    line.map((text, column) => column < 2 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))
      .join("  ")
  ).join("\n");
}

if (import.meta.main) console.log(formatQuick(await measureQuick(Number(Deno.args[0] ?? 10))));
