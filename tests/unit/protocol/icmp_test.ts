import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { icmpError, IcmpErrors, MAX_ICMP } from "../../../core/protocol/icmp.ts";
import { ipv4, Lab } from "../../lab.ts";

const reply = (packet: Uint8Array, mtu?: number) => {
  const out = new Uint8Array(MAX_ICMP).fill(0xee);
  return out.subarray(0, icmpError(packet, out, mtu));
};

function ipv6(next: number, payload: number[], source = 0xfd, destination = 0xfe): Uint8Array {
  const packet = new Uint8Array(40 + payload.length);
  packet[0] = 0x60;
  packet[5] = payload.length;
  packet[6] = next;
  packet[7] = 64;
  packet.fill(source, 8, 24);
  packet.fill(destination, 24, 40);
  packet.set(payload, 40);
  return packet;
}

/** One's-complement sum of 16-bit words; 0xffff if a checksum within is right. */
function sum(...parts: Uint8Array[]): number {
  let total = 0;
  for (const part of parts) part.forEach((byte, i) => total += i % 2 ? byte : byte << 8);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

Deno.test("icmpError() answers IPv4 with type 3 code 1, from the destination to the source", () => {
  const packet = ipv4([10, 0, 0, 1], [10, 9, 9, 9], 100);
  const answer = reply(packet);
  equal(answer.length, 20 + 8 + 100);
  deepEqual([...answer.subarray(12, 20)], [10, 9, 9, 9, 10, 0, 0, 1]);
  deepEqual([answer[0], answer[9], answer[20], answer[21]], [0x45, 1, 3, 1]);
  equal(answer[2]! << 8 | answer[3]!, answer.length);
  equal(sum(answer.subarray(0, 20)), 0xffff);
  equal(sum(answer.subarray(20)), 0xffff);
  deepEqual(answer.subarray(28), packet);
});

Deno.test("icmpError() answers IPv6 with type 1 code 3, from the destination to the source", () => {
  const packet = ipv6(17, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const answer = reply(packet);
  equal(answer.length, 40 + 8 + packet.length);
  deepEqual([answer[0], answer[6], answer[40], answer[41]], [0x60, 58, 1, 3]);
  equal(answer[8], 0xfe);
  equal(answer[24], 0xfd);
  const length = answer.length - 40;
  equal(
    sum(answer.subarray(8, 40), Uint8Array.of(0, 0, length >> 8, length, 0, 0, 0, 58), answer.subarray(40)),
    0xffff,
  );
  deepEqual(answer.subarray(48), packet);
});

Deno.test("icmpError() reports the MTU if a packet is too big", () => {
  const answer4 = reply(ipv4([10, 0, 0, 1], [10, 9, 9, 9], 100), 65_475);
  // The code's checksum, the unused half of the word, the MTU.
  deepEqual([...answer4.subarray(20, 22), ...answer4.subarray(24, 28)], [3, 4, 0, 0, 0xff, 0xc3]);
  equal(sum(answer4.subarray(20)), 0xffff);
  const answer6 = reply(ipv6(17, [1, 2, 3, 4]), 65_495);
  deepEqual([...answer6.subarray(40, 42), ...answer6.subarray(44, 48)], [2, 0, 0, 0, 0xff, 0xd7]);
  equal(reply(ipv6(58, [1]), 65_495).length, 0, "an error is not answered");
});

Deno.test("icmpError() quotes no more than 576 bytes of reply hold for IPv4, 1,280 for IPv6", () => {
  equal(reply(ipv4([10, 0, 0, 1], [10, 9, 9, 9], 1_400)).length, 576);
  const long = ipv6(17, Array.from({ length: 1_400 }, () => 7));
  equal(reply(long).length, 1_280);
});

Deno.test("icmpError() ignores IPv4 packets that must not be answered", () => {
  const broken = (change: (packet: Uint8Array) => void) => {
    const packet = ipv4([10, 0, 0, 1], [10, 9, 9, 9]);
    change(packet);
    return reply(packet).length;
  };
  ok(broken(() => {}) > 0);
  equal(broken((packet) => packet[7] = 1), 0, "later fragment");
  ok(broken((packet) => packet[6] = 0x20) > 0, "first fragment");
  equal(broken((packet) => packet[16] = 224), 0, "multicast");
  equal(broken((packet) => packet.fill(255, 16, 20)), 0, "broadcast");
  equal(broken((packet) => packet.fill(0, 12, 16)), 0, "from nobody");
  equal(broken((packet) => packet[12] = 127), 0, "from loopback");
  equal(broken((packet) => packet[12] = 239), 0, "from multicast");
  for (let type = 0; type < 256; type++) {
    const answered = broken((packet) => {
      packet[9] = 1;
      packet[20] = type;
    }) > 0;
    equal(answered, [0, 8, 13, 14, 15, 16, 17, 18].includes(type), `ICMP type ${type}`);
  }
  equal(broken((packet) => packet[0] = 0x44), 0, "header too short");
  equal(broken((packet) => packet[0] = 0x4f), 0, "header longer than the packet");
});

Deno.test("icmpError() ignores IPv6 packets that must not be answered", () => {
  equal(reply(ipv6(17, [1, 2, 3, 4], 0xfd, 0xff)).length, 0, "multicast");
  equal(reply(ipv6(17, [1, 2, 3, 4], 0xff)).length, 0, "from multicast");
  equal(reply(ipv6(17, [1, 2, 3, 4], 0)).length, 0, "from nobody");
  for (let type = 0; type < 256; type++) {
    const options = [58, 0, 0, 0, 0, 0, 0, 0];
    equal(reply(ipv6(58, [type])).length > 0, type >= 128 && type !== 137, `ICMPv6 type ${type}`);
    equal(reply(ipv6(60, [...options, type])).length > 0, type >= 128 && type !== 137, "behind options");
  }
  ok(reply(ipv6(44, [17, 0, 0, 1, 0, 0, 0, 0, 1])).length > 0, "first fragment");
  equal(reply(ipv6(44, [17, 0, 0, 8, 0, 0, 0, 0, 1])).length, 0, "later fragment");
  equal(reply(ipv6(0, [58, 9, 0, 0])).length, 0, "options cut short");
});

Deno.test("icmpError() never writes more than it returns, and never throws", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1_500 }),
      fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0),
      (packet, first) => {
        if (packet.length > 0 && first) packet[0] = first;
        const answer = reply(packet);
        ok(answer.length <= MAX_ICMP);
        equal(reply(answer).length, 0, "an answer is never answered");
      },
    ),
  );
});

Deno.test("IcmpErrors.answer() makes 50 errors at once and then 1,000 per second", () => {
  const lab = new Lab();
  const limited = new IcmpErrors();
  const out = new Uint8Array(MAX_ICMP);
  const packet = ipv4([10, 0, 0, 1], [10, 9, 9, 9]);
  const burst = () =>
    Array.from({ length: 100 }, () => limited.answer(packet, out, 0, lab.now)).filter(Boolean).length;
  equal(burst(), 50);
  lab.suspend(10);
  equal(burst(), 10);
  lab.suspend(3_600_000);
  equal(burst(), 50);
});
