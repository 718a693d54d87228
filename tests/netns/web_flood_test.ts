/**
 * `wgd web` and clients that open as many connections as possible.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { eventually } from "./lab/exec.ts";
import type { Process } from "./lab/host.ts";
import { rootTest } from "./lab/rooted.ts";
import { ADDRESS, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const NEEDS = { programs: WEB_PROGRAMS };
const PROGRAM = fileURLToPath(new URL("lab/slow_program.ts", import.meta.url));
/** Connections that the server keeps for one address. */
const PER_ADDRESS = 1_024;

/** @param later How many of the clients wait until the server has ended a connection. */
function attack({ server }: WebLab, clients: number, later = 0): Promise<Process> {
  const [, port = ""] = ADDRESS.split(":");
  return server.start([
    ...[Deno.execPath(), "run", "-A", "--no-check"],
    ...[PROGRAM, port, `${clients}`, `${later}`],
  ]);
}

/**
 * How many of the attacker's clients have tried to connect, and how many are connected now.
 *
 * @throws {Error} If its last whole line does not say it: it has printed nothing yet, or it has failed.
 */
function clientsOf(attacker: Process): { tried: number; open: number } {
  const said = /(\d+) tried, (\d+) open\n[^\n]*$/.exec(attacker.output());
  if (!said) throw new Error(`the attacker says: ${attacker.output().slice(-500)}`);
  return { tried: Number(said[1]), open: Number(said[2]) };
}

/** The web process is a child of `wgd web`, which is the keeper. */
async function webProcess({ server, process }: WebLab): Promise<string> {
  return (await server.sh(`pgrep -P ${process.pid} -f ' web ' | head -1`)).trim();
}

/** The longest time of some requests in milliseconds, each on its own connection. */
async function slowest(lab: WebLab): Promise<number> {
  let longest = 0;
  for (let n = 0; n < 5; n++) {
    const began = performance.now();
    equal((await lab.call("GET", "/devices")).status, 200);
    longest = Math.max(longest, performance.now() - began);
  }
  return longest;
}

await rootTest(
  "clients that send requests slowly get few connections, and others are answered",
  NEEDS,
  async () => {
    await using lab = await WebLab.start();
    const clients = PER_ADDRESS + 300;
    // Some of those that come later get the descriptors of connections that were ended, and the others get larger ones.
    // In between are the descriptors of the first ones, which are all closed when their time is over.
    const attacker = await attack(lab, clients, 220);
    // After 20 seconds connections are ended because no request comes, so the limit must be met before.
    await eventually("the oldest of all connections to be ended", () => {
      const { tried, open } = clientsOf(attacker);
      return tried === clients && open === PER_ADDRESS;
    }, { within: 18_000 });
    const longest = await slowest(lab);
    ok(longest < 3_000, `others waited ${longest} ms`);
    await eventually("the rest to be ended, because no request comes", () => {
      equal(clientsOf(attacker).open, 0);
      return true;
    }, { within: 30_000 });
  },
);

await rootTest("more connections than the process has descriptors do not end it", NEEDS, async () => {
  await using lab = await WebLab.start(["prlimit", "--nofile=120:120"]);
  const web = await webProcess(lab);
  await attack(lab, 300);
  await eventually("the limit to be met", () => /could not be accepted/.test(lab.process.output()), {
    within: 15_000,
  });
  await eventually(
    "an answer",
    () => lab.call("GET", "/devices").then(({ status }) => status === 200, () => false),
    {
      within: 15_000,
    },
  );
  equal(await webProcess(lab), web, "the process is the same one");
});
