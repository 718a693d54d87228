import { deepEqual, equal } from "node:assert/strict";
import { IFF_UP, IFINFOMSG, IFLA_IFNAME, IFLA_MTU, NLMSGHDR } from "../../../ffi/linux/constants.ts";
import { RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK } from "../../../ffi/linux/constants.ts";
import { namesUp } from "../../../ffi/linux/link_watch.ts";
import { attributeIn, messagesIn, numberIn } from "../../../ffi/linux/netlink_messages.ts";
import { MessageWriter } from "../../../core/client/netlink.ts";

/** A message about an interface, as the kernel writes it. */
function link(type: number, name: string, flags: { up: boolean; changed: boolean }, mtu = 1_420): Uint8Array {
  const header = new Uint8Array(IFINFOMSG.size);
  const view = new DataView(header.buffer);
  view.setUint32(IFINFOMSG.flags, flags.up ? IFF_UP : 0, true);
  view.setUint32(IFINFOMSG.change, flags.changed ? IFF_UP : 0, true);
  const writer = new MessageWriter(200, type, 0, header);
  writer.u32(IFLA_MTU, mtu);
  writer.string(IFLA_IFNAME, name);
  return writer.finish();
}

/** Messages one behind the other, each at a multiple of four bytes. */
function joined(...messages: Uint8Array[]): Uint8Array {
  const bytes = messages.flatMap((message) => [...message, ...new Uint8Array(-message.length & 3)]);
  return Uint8Array.from(bytes);
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const UP = { up: true, changed: true };

Deno.test("namesUp() names the interfaces whose state changed to up", () => {
  const bytes = joined(
    link(RTM_NEWLINK, "wg0", UP),
    link(RTM_NEWLINK, "down0", { up: false, changed: true }),
    link(RTM_NEWLINK, "stays0", { up: true, changed: false }),
    link(RTM_DELLINK, "gone0", UP),
    link(RTM_NEWADDR, "address0", UP),
    link(RTM_NEWLINK, "a-name-of-15-by", UP),
  );
  deepEqual([...namesUp(bytes)], ["wg0", "a-name-of-15-by"]);
});

Deno.test("messages and attributes that were cut off anywhere are ignored, and those before them are read", () => {
  const first = link(RTM_NEWLINK, "wg0", UP);
  const bytes = joined(first, link(RTM_NEWLINK, "wg1", UP));
  for (let length = 0; length < bytes.length; length++) {
    const names = [...namesUp(bytes.slice(0, length))];
    // The padding after the last attribute may be missing.
    const complete = length < first.length ? [] : length < bytes.length - 3 ? ["wg0"] : names;
    deepEqual(names, complete, `${length} bytes`);
  }
  deepEqual([...namesUp(bytes)], ["wg0", "wg1"]);
});

Deno.test("lengths that are too small or too large end reading", () => {
  for (const size of [0, 1, NLMSGHDR.size - 1, 0x7fff_ffff, 0xffff_ffff]) {
    const bytes = joined(
      link(RTM_NEWLINK, "wg0", UP),
      link(RTM_NEWLINK, "wg1", UP),
      link(RTM_NEWLINK, "wg2", UP),
    );
    const second = viewOf(bytes).getUint32(NLMSGHDR.length, true) + 3 & ~3;
    viewOf(bytes).setUint32(second + NLMSGHDR.length, size, true);
    deepEqual([...namesUp(bytes)], ["wg0"], `message of ${size} bytes`);
  }
  for (const size of [0, 3, 200, 65_535]) {
    const bytes = link(RTM_NEWLINK, "wg0", UP);
    viewOf(bytes).setUint16(NLMSGHDR.size + IFINFOMSG.size, size, true);
    deepEqual([...namesUp(bytes)], [], `attribute of ${size} bytes`);
  }
  // A netlink message without the header of its type.
  const short = new Uint8Array(NLMSGHDR.size);
  viewOf(short).setUint32(NLMSGHDR.length, NLMSGHDR.size, true);
  viewOf(short).setUint16(NLMSGHDR.type, RTM_NEWLINK, true);
  deepEqual([...namesUp(joined(short, link(RTM_NEWLINK, "wg1", UP)))], ["wg1"]);
});

Deno.test("numberIn() reads attributes of 32 bits, in a buffer with other bytes around the message", () => {
  const message = link(RTM_NEWLINK, "wg0", UP, 9_000);
  const bytes = new Uint8Array(message.length + 200).fill(0xff);
  bytes.set(message, 100);
  const view = viewOf(bytes).buffer;
  const part = new DataView(view, 36);
  const [{ type, payload, end } = { type: 0, payload: 0, end: 0 }] = messagesIn(
    part,
    64,
    64 + message.length,
  );
  equal(type, RTM_NEWLINK);
  const attributes = payload + IFINFOMSG.size;
  equal(numberIn(part, attributes, end, IFLA_MTU), 9_000);
  equal(numberIn(part, attributes, end, 99), undefined);
  equal(new TextDecoder().decode(attributeIn(part, attributes, end, IFLA_IFNAME)), "wg0\0");
  equal(attributeIn(part, attributes, end, IFLA_IFNAME)!.byteLength, 4);
  equal(
    numberIn(part, attributes, end, IFLA_IFNAME),
    viewOf(Uint8Array.from([0x77, 0x67, 0x30, 0])).getUint32(0, true),
  );
});
