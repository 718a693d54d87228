/**
 * The lengths of segments, and options that are turned off.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { must } from "../exec.ts";
import { farHost } from "../far_host.ts";
import { both, type Case, type Cases, count, exchangeBoth, pattern, readAll, writeAll } from "./steps.ts";
import { OURS, RST } from "./wire.ts";

/** The cases by name. */
export const SEGMENTS: Cases = {
  "a router whose next link becomes shorter in the middle of a transfer": {
    sysctl: { "net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1" },
    run: async (wire) => {
      await using far = await farHost();
      for (const [hostname, mtu, headers] of [["10.8.0.2", 1_300, 52], ["fd08::2", 1_280, 72]] as const) {
        await far.link("mtu 1420");
        const ours = await wire.net.connect({ hostname, port: 80 });
        const data = pattern(2_000_000);
        await writeAll(ours, data);
        await far.link(`mtu ${mtu}`);
        await writeAll(ours, data);
        let longest = 0;
        wire.onSent = ({ payloadOfEach }) => void (longest = Math.max(longest, payloadOfEach));
        await writeAll(ours, data);
        await ours.closeWrite();
        equal(new TextDecoder().decode(await readAll(ours)), "6000000");
        equal(longest, mtu - headers);
        ours.close();
      }
      equal(count(wire.sent, RST) + count(wire.got, RST), 0);
    },
  },
  "the smallest segments that the kernel may ask for": {
    run: async (wire) => {
      for (const [to, route] of [[OURS[4], "ip"], [OURS[6], "ip -6"]]) {
        await must(["sh", "-ec", `${route} route replace ${to} dev wire advmss 48`]);
      }
      let longest = 0;
      wire.onSent = (segment) => void (longest = Math.max(longest, segment.payloadOfEach));
      await exchangeBoth(wire, 200_000);
      equal(longest, 48 - 12, "a timestamp takes 12 bytes of each");
    },
  },
  "the smallest segments that we may ask for": {
    wire: { mtu: 88 },
    run: async (wire) => {
      let longest = 0;
      wire.onGot = (segment) => void (longest = Math.max(longest, segment.payloadOfEach));
      const [ours, theirs] = await wire.connect();
      await both(ours, theirs, 200_000);
      ok(longest > 0 && longest <= 48, `${longest}`);
    },
  },
  ...Object.fromEntries(
    ["window_scaling", "timestamps", "sack"].map((option): [string, Case] => [
      `without ${option.replace("_", " ")}`,
      { sysctl: { [`net.ipv4.tcp_${option}`]: "0" }, run: (wire) => exchangeBoth(wire, 3_000_000) },
    ]),
  ),
  "without any option": {
    sysctl: Object.fromEntries(
      ["window_scaling", "timestamps", "sack"].map((option) => [`net.ipv4.tcp_${option}`, "0"]),
    ),
    run: (wire) => exchangeBoth(wire, 3_000_000),
  },
};
