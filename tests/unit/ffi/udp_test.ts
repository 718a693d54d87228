import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { BufferArena } from "../../../ffi/linux/arena.ts";
import { SystemError } from "../../../ffi/linux/system_error.ts";
import { Errno, MSGHDR } from "../../../ffi/linux/constants.ts";
import { openUdpPair } from "../../../ffi/linux/udp_pair.ts";
import { type UdpFeatures, UdpSocket } from "../../../ffi/linux/udp_socket.ts";
import { refusing } from "./refusing_kernel.ts";

const ALL = { segment: true, gro: true };
const PLAIN = { segment: false, gro: false };
const LOOPBACK = { 4: [0x0100007f, 0, 0, 0], 6: [0, 0, 0, 0x01000000] } as const;

/** The words of a loopback endpoint. */
function loopback(family: 4 | 6, port: number): Uint32Array {
  const words = new Uint32Array(12);
  words.set([family, port, ...LOOPBACK[family]]);
  return words;
}

/** Two sockets of one family and a region to send from. */
function sockets(family: 4 | 6, features: UdpFeatures = ALL) {
  const arena = new BufferArena(1 << 20);
  const open = () => UdpSocket.open(arena, { family, port: 0, mark: 0, features });
  const [a, b] = [open(), open()];
  const at = arena.allocate(70_000);
  for (let i = 0; i < 60_000; i++) arena.bytes[at + i] = i * 7;
  return {
    arena,
    a,
    b,
    at,
    [Symbol.dispose]() {
      a.close();
      b.close();
    },
  };
}

/** Everything that waits at a socket: lengths of the single datagrams, and their bytes. */
async function drain(socket: UdpSocket, arena: BufferArena, into: number, expected: number) {
  const lengths: number[] = [];
  const bytes: number[] = [];
  for (let tries = 0; bytes.length < expected && tries < 100; tries++) {
    const length = socket.receive(into, 65_536);
    if (length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    for (let offset = 0; offset < length; offset += socket.segment) {
      lengths.push(Math.min(socket.segment, length - offset));
    }
    bytes.push(...arena.bytes.subarray(into, into + length));
  }
  return { lengths, bytes };
}

for (const family of [4, 6] as const) {
  for (const [name, features] of [["with", ALL], ["without", PLAIN]] as const) {
    Deno.test(`send() a train over IPv${family} ${name} GSO and GRO arrives as its datagrams`, async () => {
      using pair = sockets(family, features);
      const { a, b, arena, at } = pair;
      equal(a.segmentation, features.segment);
      const into = arena.allocate(65_536);
      const to = loopback(family, b.port);
      equal(a.send(to, at, 10_500, 1_000, 0), 0);
      const { lengths, bytes } = await drain(b, arena, into, 10_500);
      deepEqual(lengths, [...Array(10).fill(1_000), 500]);
      deepEqual(bytes, [...arena.bytes.subarray(at, at + 10_500)]);
    });
  }

  Deno.test(`receive() over IPv${family} returns the sender, our address, and the TOS`, async () => {
    using pair = sockets(family);
    const { a, b, arena, at } = pair;
    const into = arena.allocate(65_536);
    equal(a.send(loopback(family, b.port), at, 100, 0, 0x89), 0);
    await drain(b, arena, into, 100);
    deepEqual([...b.from.subarray(0, 7)], [...loopback(family, a.port).subarray(0, 7)]);
    deepEqual([...b.from.subarray(8)], [...LOOPBACK[family]]);
    ok(b.from[7]! > 0, "the interface by which the datagram came is known");
    equal(b.tos, 0x89);
    equal(b.segment, 100);
    // The reply is sent from this address.
    equal(b.send(b.from.slice(), at, 50, 0, 0), 0);
    await drain(a, arena, into, 50);
    deepEqual([...a.from.subarray(2, 6)], [...LOOPBACK[family]]);
  });

  Deno.test(`send() over IPv${family} clears a source address that is not local and sends anyway`, async () => {
    using pair = sockets(family);
    const { a, b, arena, at } = pair;
    const into = arena.allocate(65_536);
    const to = loopback(family, b.port);
    // 192.0.2.1, and 2001:db8:: followed by zeros.
    to.set(family === 4 ? [0x010200c0] : [0xb80d0120], 8);
    equal(a.send(to, at, 3_000, 1_000, 0), 0);
    deepEqual([...to.subarray(7)], [0, 0, 0, 0, 0]);
    equal((await drain(b, arena, into, 3_000)).bytes.length, 3_000);
  });

  Deno.test(`receive() over IPv${family} skips empty datagrams`, async () => {
    using pair = sockets(family);
    const { a, b, arena, at } = pair;
    const into = arena.allocate(65_536);
    const to = loopback(family, b.port);
    for (let i = 0; i < 40; i++) a.send(to, at, 0, 0, 0);
    equal(a.send(to, at, 9, 0, 0), 0);
    equal((await drain(b, arena, into, 9)).bytes.length, 9);
    equal(b.errors, 40);
  });
}

Deno.test("send() sends the largest datagram and reports an error for larger ones", () => {
  using pair = sockets(4);
  const { a, b, at } = pair;
  equal(a.send(loopback(4, b.port), at, 65_507, 0, 0), 0);
  equal(a.send(loopback(4, b.port), at, 65_508, 0, 0), -90, "EMSGSIZE");
  equal(a.refused, 1);
  // It is sent singly, and the second datagram arrives.
  equal(a.send(loopback(4, b.port), at, 65_508 + 100, 65_508, 0), -90);
  equal(a.refused, 1);
});

Deno.test("openUdpPair() uses one port for both families, and reports a port that is in use", () => {
  const arena = new BufferArena(1 << 16);
  const pair = openUdpPair(arena, { port: 0, mark: 0, features: ALL });
  equal(pair.v4.port, pair.port);
  equal(pair.v6?.port ?? pair.port, pair.port);
  throws(
    () => openUdpPair(arena, { port: pair.port, mark: 0, features: ALL }),
    (error) =>
      error instanceof SystemError && error.code === "EADDRINUSE" && error.message.includes(`${pair.port}`),
  );
  pair.v4.close();
  pair.v6?.close();
  const again = openUdpPair(arena, { port: pair.port, mark: 0, features: ALL });
  again.v4.close();
  again.v6?.close();
});

Deno.test("opening and closing sockets repeatedly does not leak memory", () => {
  const arena = new BufferArena(8_192);
  for (let i = 0; i < 200; i++) {
    const pair = openUdpPair(arena, { port: 0, mark: 0, features: PLAIN });
    pair.v4.close();
    pair.v6?.close();
  }
});

Deno.test("failing to open sockets repeatedly leaks neither memory nor descriptors", () => {
  const arena = new BufferArena(8_192);
  const taken = openUdpPair(arena, { port: 0, mark: 0, features: PLAIN });
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = descriptors();
  for (let i = 0; i < 200; i++) {
    throws(() => openUdpPair(arena, { port: taken.port, mark: 0, features: PLAIN }), SystemError);
  }
  equal(descriptors(), before);
  taken.v4.close();
  taken.v6?.close();
});

for (const family of [4, 6] as const) {
  for (const code of [Errno.EIO, Errno.EINVAL]) {
    Deno.test(`send() over IPv${family}: after errno ${code} for a train, datagrams are sent singly from then on`, async () => {
      const refused: number[][] = [];
      using pair = sockets(family, { ...ALL, refused: (...what: number[]) => void refused.push(what) });
      const { a, b, arena, at } = pair;
      const into = arena.allocate(65_536);
      let trains = 0;
      using _kernel = refusing(({ fail }, real) => ({
        sendmsg: (fd, message, flags) => {
          const controls = new Deno.UnsafePointerView(message!).getUint32(MSGHDR.controlLength);
          if (controls === 0) return real.sendmsg(fd, message, flags);
          trains++;
          return fail(code);
        },
      }));
      for (let round = 0; round < 2; round++) {
        equal(a.send(loopback(family, b.port), at, 10_500, 1_000, 0), 0);
        const { lengths, bytes } = await drain(b, arena, into, 10_500);
        deepEqual(lengths, [...Array(10).fill(1_000), 500]);
        deepEqual(bytes, [...arena.bytes.subarray(at, at + 10_500)]);
      }
      equal(trains, 1);
      equal(a.segmentation, false);
      deepEqual(refused, [[family, code]]);
    });
  }

  Deno.test(`send() over IPv${family}: a train that is too long for the path is sent singly, and later trains are not`, async () => {
    using pair = sockets(family);
    const { a, b, arena, at } = pair;
    const into = arena.allocate(65_536);
    using _kernel = refusing(({ fail }, real) => ({
      sendmsg: (fd, message, flags) => {
        const controls = new Deno.UnsafePointerView(message!).getUint32(MSGHDR.controlLength);
        return controls === 0 ? real.sendmsg(fd, message, flags) : fail(Errno.EMSGSIZE);
      },
    }));
    equal(a.send(loopback(family, b.port), at, 3_000, 1_000, 0), 0);
    equal((await drain(b, arena, into, 3_000)).lengths.length, 3);
    ok(a.segmentation);
  });
}

Deno.test("a kernel without UDP_SEGMENT and UDP_GRO is detected when the socket is opened", () => {
  const arena = new BufferArena(1 << 16);
  const udp = (level: number) => level === 17;
  using _kernel = refusing(({ fail }, real) => ({
    setsockopt: (fd, level, ...more) =>
      udp(level) ? fail(Errno.ENOPROTOOPT) : real.setsockopt(fd, level, ...more),
    getsockopt: (fd, level, ...more) =>
      udp(level) ? fail(Errno.ENOPROTOOPT) : real.getsockopt(fd, level, ...more),
  }));
  const socket = UdpSocket.open(arena, { family: 4, port: 0, mark: 0, features: ALL });
  deepEqual([socket.segmentation, socket.coalescing], [false, false]);
  socket.close();
});

Deno.test("memory() returns how much waits in a socket, its capacity, and the losses", () => {
  using pair = sockets(4);
  const { a, b, at } = pair;
  equal(b.memory.received, 0);
  const bound = b.memory.receiveBound;
  for (let sent = 0; sent < 2 * bound; sent += 60_000) a.send(loopback(4, b.port), at, 60_000, 0, 0);
  const { received, drops } = b.memory;
  ok(received > bound / 2 && drops > 0, `${received} of ${bound} bytes wait, ${drops} datagrams lost`);
});
