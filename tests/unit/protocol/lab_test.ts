import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { address4, type Host, ipv4, Lab, noble, session } from "../../lab.ts";
import { wasm } from "../../wasm_backend.ts";

for (const [name, backend] of Object.entries({ noble, wasm })) {
  Deno.test(`a tunnel on ${name}: three hours of traffic in both directions, over a network that reorders and duplicates packets`, () => {
    const { lab, alice, bob } = session({ backend });
    let state = 3;
    const dice = () => (state = state * 48271 % 0x7fffffff) / 0x7fffffff;
    lab.delay = () => dice() * 100;
    lab.copies = () => dice() < 0.2 ? 2 : 1;
    for (let minute = 0; minute < 180; minute++) {
      alice.send(bob, 20 + minute);
      bob.send(alice, 20 + minute);
      lab.advance(60_000);
    }
    deepEqual([alice.received.length, bob.received.length], [180, 181]);
  });
}

/** What may happen to three hosts that all know each other. */
const events = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant("send" as const), a: fc.nat(2), b: fc.nat(2) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("wait" as const), a: fc.nat(30_000), b: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), a: fc.nat(400_000), b: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lose" as const), a: fc.nat(100), b: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delay" as const), a: fc.nat(8_000), b: fc.nat(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("move" as const), a: fc.nat(2), b: fc.nat(50_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), a: fc.nat(2), b: fc.nat(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("load" as const), a: fc.nat(2), b: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("keepalive" as const), a: fc.nat(2), b: fc.nat(60) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("suspend" as const), a: fc.nat(900_000), b: fc.nat(0) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("clock" as const),
      a: fc.integer({ min: -9e6, max: 9e6 }),
      b: fc.nat(0),
    }),
  },
);

Deno.test("random events: nothing arrives twice, initiations are 5 s apart, and all peers recover", () => {
  const numRuns = Deno.env.get("WGD_TEST_FULL") ? 3_000 : 60;
  fc.assert(
    fc.property(fc.array(events, { maxLength: 60 }), fc.integer({ min: 1, max: 1e9 }), (script, seed) => {
      const lab = new Lab(wasm, seed);
      const hosts = ["a", "b", "c"].map((name) => lab.host(name));
      hosts.forEach((host, i) => hosts.slice(i + 1).forEach((other) => lab.introduce(host, other)));
      let state = seed;
      const dice = () => (state = state * 48271 % 0x7fffffff) / 0x7fffffff;
      let loss = 0, delay = 0, serial = 0;
      lab.loses = () => dice() * 100 < loss;
      lab.delay = () => dice() * delay;
      lab.copies = () => dice() < 0.1 ? 2 : 1;
      const send = (from: Host, to: Host) => {
        const packet = ipv4([10, 0, 0, from.number], [10, 0, 0, to.number]);
        new DataView(packet.buffer).setUint32(28, ++serial);
        from.sendPacket(packet);
        return serial;
      };
      /** When each host may initiate again to each other, whatever it sent before. */
      const restarts = new Map<Host, number>();

      for (const { do: what, a, b } of script) {
        const host = hosts[a % 3]!;
        if (what === "send" && a !== b) send(host, hosts[b]!);
        else if (what === "wait") lab.advance(a);
        else if (what === "lose") loss = a;
        else if (what === "delay") delay = a;
        else if (what === "move") host.move(address4([203, 0, 113, host.number], b + 1));
        else if (what === "restart") {
          host.device.down();
          host.device.up(lab.now);
          restarts.set(host, lab.boot);
        } else if (what === "load") host.underLoad = b === 1;
        else if (what === "keepalive") {
          for (const peer of host.device.peers) host.device.setPersistentKeepalive(peer, b, lab.now);
        } else if (what === "suspend") lab.suspend(a);
        else if (what === "clock") lab.wall += BigInt(a) * 1_000_000n;
        lab.settle();

        for (const { device } of hosts) {
          for (const peer of device.peers) {
            ok(peer.stagedCount <= 128);
            const { previous, current, next } = peer.keypairs;
            // A key before the last lives on with its successor; it is used for 180 s all the same.
            const ages = [previous, current, next].filter((keypair) => keypair !== null)
              .map(({ born }) => lab.boot - born);
            ok(ages.length === 0 || Math.min(...ages) < 540_000, "keys without a newer one are erased");
          }
        }
      }

      for (const host of hosts) {
        const serials = host.received.map((packet) =>
          new DataView(packet.buffer, packet.byteOffset).getUint32(28)
        );
        equal(new Set(serials).size, serials.length, "nothing arrives twice");
      }
      const last = new Map<string, number>();
      for (const { sender, to, kind, sentAt } of lab.record) {
        if (kind !== "initiation") continue;
        const flow = `${sender.name} ${to}`;
        const before = last.get(flow) ?? -Infinity;
        const restarted = restarts.has(sender) && restarts.get(sender)! >= before;
        ok(restarted || sentAt - before >= 5_000, `${flow}: ${sentAt - before} ms after the one before`);
        last.set(flow, sentAt);
      }

      // The weather clears. Everybody is where the others expect them, or speaks first.
      loss = delay = 0;
      for (const host of hosts) host.underLoad = false;
      lab.advance(10_000);
      for (const host of hosts) {
        for (const other of hosts) {
          if (other !== host) host.device.setEndpoint(host.peer(other), other.address);
        }
      }
      for (let second = 0; second < 40; second++) {
        for (const host of hosts) for (const other of hosts) if (other !== host) send(host, other);
        lab.advance(1_000);
      }
      for (const host of hosts) host.received.length = 0;
      for (const host of hosts) for (const other of hosts) if (other !== host) send(host, other);
      lab.settle();
      deepEqual(hosts.map(({ received }) => received.length), [2, 2, 2], "all hosts have recovered");

      for (const host of hosts) {
        for (const peer of host.device.peers) host.device.setPersistentKeepalive(peer, 0, lab.now);
      }
      lab.advance(1_200_000);
      for (const { transport, device } of hosts) {
        equal((transport as unknown as { size: number }).size, 0, "all keys are erased after a long silence");
        equal(device.nextDeadline(), Infinity, "no timer is left");
      }
    }),
    { numRuns },
  );
});
