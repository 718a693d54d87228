/**
 * The harness itself: it leaves nothing behind, and its measurements can fail.
 *
 * @module
 */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { exists } from "./peers/cache.ts";
import { CommandError, eventually, must } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { connect, lose, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { flow, ping, sweep } from "./lab/traffic.ts";

await rootTest(
  "a host ends with its processes and interfaces when its test is killed",
  {},
  async () => {
    const module = new URL("./lab/host.ts", import.meta.url).href;
    // Other tests start programs too, so this one has a name of its own.
    const seconds = `1000.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    const script = `
    const { Host } = await import(${JSON.stringify(module)});
    const host = await Host.create("orphan");
    await host.sh("ip link add cable type veth peer name other");
    await host.start(["sleep", "${seconds}"]);
    console.log(host.pid);
    await new Promise((resolve) => setTimeout(resolve, 60_000));`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--quiet", script], stdout: "piped" })
      .spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const pid = Number((await reader.read()).value);
    const inside = await must([
      "nsenter",
      "-t",
      String(pid),
      "--net",
      "--pid",
      "--mount",
      "ps",
      "-eo",
      "args",
    ]);
    ok(inside.includes(`sleep ${seconds}`), inside);

    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    await eventually("the host to be gone", () => !exists(`/proc/${pid}`), { within: 5_000 });
    const left = await must(["sh", "-c", `grep -lsz '^${seconds}$' /proc/[0-9]*/cmdline || true`]);
    // The shell's own command line contains more than this argument.
    equal(left, "");
  },
);

await rootTest("hosts share nothing: not interfaces, not processes, not /run", {}, async () => {
  await using network = await Network.create("one", "two");
  const [one, two] = network.hosts;
  await one.sh(
    "ip link add wg0 type veth peer name wg1; mkdir /run/wireguard; touch /run/wireguard/wg0.sock",
  );
  await one.start(["sleep", "1000"]);
  equal(await two.ok("ls", "/sys/class/net"), "lo\n");
  equal((await two.run(["ls", "/run/wireguard"])).code, 2);
  ok(!(await two.ok("ps", "-e")).includes("sleep"));
  ok(!exists("/sys/class/net/wg1"));
});

await rootTest("a failed command is an error with its arguments and its error output", {}, async () => {
  await using host = await Host.create("host");
  await rejects(host.ok("ip", "link", "show", "nothere"), (error: CommandError) => {
    match(error.message, /"host: ip link show nothere" ended with 1: Device "nothere" does not exist/);
    return error instanceof CommandError;
  });
});

await rootTest("a bad link is visible in every measurement", { programs: ["nft"] }, async () => {
  await using network = await Network.create("one", "two");
  const [one, two] = network.hosts;
  await connect({ host: one, name: "eth0", addresses: ["10.1.0.1/24", "fd01::1/64"] }, {
    host: two,
    name: "eth0",
    addresses: ["10.1.0.2/24", "fd01::2/64"],
  });
  deepEqual(await ping(one, "10.1.0.2"), { sent: 10, answered: 10 });
  equal(await sweep(one, "10.1.0.2", 1500), 1473);
  equal(await sweep(one, "fd01::2", 1500), 1453);
  ok((await flow(one, two, "10.1.0.2")).rate > 0);

  await lose(two, "eth0", 30);
  await rejects(sweep(one, "10.1.0.2", 1500), /of 1473 sizes lost: \d/);
  await lose(two, "eth0", 100);
  equal((await ping(one, "10.1.0.2", { count: 2, wait: 0.1 })).answered, 0);
  await lose(two, "eth0", 0);
  deepEqual(await ping(one, "10.1.0.2"), { sent: 10, answered: 10 });
});
