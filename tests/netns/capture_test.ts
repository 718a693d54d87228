import { deepEqual, equal, ok } from "node:assert/strict";
import { dirname } from "node:path";
import { eventually, must, sleep } from "./lab/exec.ts";
import { generateKeys, generatePresharedKey } from "./lab/keys.ts";
import type { KnownPeer } from "./lab/known_peer.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { Capture, dissect, ping } from "./lab/traffic.ts";
import { subject, Tunnel } from "./lab/tunnel.ts";

const PINGS = 3;
const INITIATION = "1", RESPONSE = "2", DATA = "4";

await rootTest(
  "a capture contains every packet before its end",
  { programs: ["tcpdump"] },
  async () => {
    await using network = await Network.create("near", "far");
    const [near, far] = network.hosts;
    await connect({ host: near, name: "eth0", addresses: ["10.1.0.1/24"] }, {
      host: far,
      name: "eth0",
      addresses: ["10.1.0.2/24"],
    });
    const file = `${await Deno.makeTempDir({ prefix: "wgd-capture-" })}/pings.pcap`;
    try {
      const capture = await Capture.start(near, "eth0", file, "icmp");
      // Simulates a busy machine: tcpdump gets no processor time while the packets pass.
      await capture.process.signal("STOP");
      deepEqual(await ping(near, "10.1.0.2", { count: 10 }), { sent: 10, answered: 10 });
      const ended = capture[Symbol.asyncDispose]();
      await sleep(100);
      await capture.process.signal("CONT");
      await ended;
      const lines = (await must(["tcpdump", "-r", file, "-n"])).trim().split("\n");
      equal(lines.length, 20, lines.join("\n"));
    } finally {
      await Deno.remove(dirname(file), { recursive: true });
    }
  },
);

for (const role of ["responder", "initiator"] as const) {
  await rootTest(`tshark decrypts all messages of ${subject()} as ${role}, with the other side's keys`, {
    programs: ["tcpdump", "tshark"],
  }, async () => {
    await using network = await Network.create("near", "far");
    const [near, far] = network.hosts;
    await connect({ host: near, name: "eth0", addresses: ["10.1.0.1/24"] }, {
      host: far,
      name: "eth0",
      addresses: ["10.1.0.2/24"],
    });
    const keys = { near: generateKeys(), far: generateKeys() };
    const presharedKey = generatePresharedKey();
    const tunnel = await Tunnel.start({
      implementation: subject(),
      machine: near,
      addresses: ["10.7.0.1/24"],
      // A capture has a train as one datagram, which no dissector understands.
      env: { WGD_DISABLE: "udp-gso" },
      config: {
        privateKey: keys.near.privateKey,
        listenPort: 51820,
        peers: [{
          publicKey: keys.far.publicKey,
          presharedKey,
          allowedIps: ["10.7.0.2/32"],
          endpoint: "10.1.0.2:51821",
        }],
      },
    });
    const folder = await Deno.makeTempDir({ prefix: "wgd-capture-" });
    const file = `${folder}/wire.pcap`;
    try {
      const capture = await Capture.start(near, "eth0", file);
      const settings: KnownPeer = {
        address: "10.1.0.2",
        port: 51821,
        inside: "10.7.0.2",
        privateKey: keys.far.privateKey,
        presharedKey,
        other: { address: "10.1.0.1", port: 51820, inside: "10.7.0.1", publicKey: keys.near.publicKey },
        pings: role === "responder" ? PINGS : 0,
      };
      const program = new URL("./lab/known_peer.ts", import.meta.url).pathname;
      const peer = await far.start([
        Deno.execPath(),
        "run",
        "-A",
        "--cached-only",
        "--quiet",
        program,
        JSON.stringify(settings),
      ]);
      await eventually("the known peer", () => {
        if (peer.output().includes("error")) throw new Error(peer.output());
        return peer.output().includes("ready");
      });
      if (role === "initiator") {
        deepEqual(await ping(near, "10.7.0.2", { count: PINGS }), { sent: PINGS, answered: PINGS });
      }
      // A handshake, each ping and each answer have passed by then.
      await eventually("the pings", async () => (await tunnel.transfer()).sent > PINGS * 128);
      await capture[Symbol.asyncDispose]();

      const ephemerals = peer.output().match(/^[\w+/]{43}=$/gm) ?? [];
      const lines = [
        `LOCAL_STATIC_PRIVATE_KEY=${keys.far.privateKey}`,
        `REMOTE_STATIC_PUBLIC_KEY=${keys.near.publicKey}`,
        ...ephemerals.flatMap((
          key,
        ) => [`LOCAL_EPHEMERAL_PRIVATE_KEY=${key}`, `PRESHARED_KEY=${presharedKey}`]),
      ];
      await Deno.writeTextFile(`${folder}/keys`, lines.join("\n") + "\n");
      const fields = [
        "wg.type",
        "wg.handshake_ok",
        "wg.decryption_error",
        "wg.timestamp.nanoseconds",
        "wg.static",
        "icmp.type",
        "ip.src",
      ];
      const packets = await dissect(file, fields, ["-o", `wg.keylog_file:${folder}/keys`]);

      const ofType = (type: string) => packets.filter((packet) => packet[0] === type);
      equal(ofType(INITIATION).length, 1);
      equal(ofType(RESPONSE).length, 1);
      const initiator = role === "initiator" ? keys.near : keys.far;
      const [, , , nanoseconds, staticKey] = ofType(INITIATION)[0]!;
      equal(staticKey, initiator.publicKey, "the initiator's static key was decrypted");
      ok(Number(nanoseconds) % 2 ** 24 === 0, "the timestamp was decrypted, and is rounded to 16.8 ms");
      // tshark 4.0 prints a true value as "1", and 4.4 as "True".
      const decrypted = ofType(RESPONSE)[0]![1];
      ok(decrypted === "1" || decrypted === "True", `the response was decrypted: ${decrypted}`);
      for (const [, , error] of ofType(DATA)) equal(error, "");
      const inside = (type: string, source: string) =>
        ofType(DATA).filter((packet) => packet[5] === type && packet[6]!.split(",")[1] === source).length;
      const [asker, asked] = role === "initiator" ? ["10.7.0.1", "10.7.0.2"] : ["10.7.0.2", "10.7.0.1"];
      // `ping` sends another request while an answer is late.
      ok(inside("8", asker) >= PINGS, `requests decrypted: ${inside("8", asker)}`);
      ok(inside("0", asked) >= PINGS, `answers decrypted: ${inside("0", asked)}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
