/**
 * A packet that is sent as soon as the interface is up is not lost, however late its process learns that it is up.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { eventually, sleep } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { formatConfig, generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { Tunnel, wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand().join(" ");

await rootTest(
  "a packet that comes with the news that the interface is up waits for the handshake",
  {},
  async () => {
    await using network = await Network.create("near", "far");
    const [near, far] = network.hosts;
    await connect(
      { host: near, name: "eth0", addresses: ["192.0.2.1/24"] },
      { host: far, name: "eth0", addresses: ["192.0.2.2/24"] },
    );
    const [ours, theirs] = [generateKeys(), generateKeys()];
    await Tunnel.start({
      implementation: "wgd",
      machine: far,
      addresses: ["10.7.0.2/24"],
      config: {
        privateKey: theirs.privateKey,
        listenPort: 51820,
        peers: [{ publicKey: ours.publicKey, allowedIps: ["10.7.0.1/32"] }],
      },
    });
    await near.sh(
      `umask 077; cat > /run/lab/wg0.conf; ${wgd} run wg0; ${wgd} setconf wg0 /run/lab/wg0.conf`,
      {
        stdin: formatConfig({
          privateKey: ours.privateKey,
          peers: [{ publicKey: theirs.publicKey, allowedIps: ["10.7.0.0/24"], endpoint: "192.0.2.2:51820" }],
        }),
      },
    );
    // While the process is stopped, messages queue up before the one about the link, and the packet after it.
    const printed = await near.sh(`
    pid=$(for cmdline in /proc/[0-9]*/cmdline; do
      case $(tr '\\0' ' ' < $cmdline) in *"run --foreground wg0 ") basename $(dirname $cmdline);; esac
    done)
    kill -STOP $pid
    for host in 1 3 4 5 6; do ip address add 10.7.0.$host/24 dev wg0; done
    ip link set wg0 up
    (sleep 0.3; kill -CONT $pid) &
    ping -c 1 -W 4 -I 10.7.0.1 10.7.0.2 || true`);
    match(printed, /1 packets transmitted, 1 received/);
  },
);

await rootTest("what an interface rehearses reaches no network and no counter", {}, async () => {
  await using host = await Host.create("alone");
  const process = await host.start([...wgdCommand(), "run", "--foreground", "wg0"]);
  await eventually("the control socket", () => host.ok("test", "-S", "/run/wireguard/wg0.sock"));
  // A rehearsal takes a tenth of that.
  await sleep(500);
  const counted = await host.sh(
    "cat /sys/class/net/*/statistics/[rt]x_packets; cat /proc/net/snmp | grep ^Udp:",
  );
  match(counted, /^(0\n){4}/);
  const [names, values] = counted.trim().split("\n").slice(-2).map((line) => line.split(" "));
  for (const name of ["InDatagrams", "OutDatagrams"]) equal(values![names!.indexOf(name)], "0", name);
  await process.signal("TERM");
});
