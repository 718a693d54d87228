import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { BufferArena } from "../../../ffi/linux/arena.ts";
import { SystemError } from "../../../ffi/linux/system_error.ts";
import { Errno, IFF_VNET_HDR, TUNSETIFF, TUNSETOFFLOAD } from "../../../ffi/linux/constants.ts";
import { Tun, type TunFeatures } from "../../../ffi/linux/tun.ts";
import { refusing } from "./refusing_kernel.ts";

const CSUM = 1, TSO4 = 2, TSO6 = 4, USO4 = 32, USO6 = 64;
const TSO = CSUM | TSO4 | TSO6, USO = CSUM | USO4 | USO6;
const BOTH: TunFeatures = { tcp: true, udp: true };
/** Any descriptor that may be closed: nothing here reaches a device. */
const NULL_DEVICE = "/dev/null";

/** A device of a kernel that takes only these offloads, if it has the virtio header at all. */
function device(taken: (flags: number) => boolean, features = BOTH, header = true) {
  const asked: number[] = [];
  const arena = new BufferArena(1 << 18);
  const kernel = refusing(({ fail }, real) => ({
    open: (path, flags, mode) => {
      const tun = new TextDecoder().decode(path as Uint8Array).startsWith("/dev/net/tun");
      return real.open(tun ? new TextEncoder().encode(`${NULL_DEVICE}\0`) : path, flags, mode);
    },
    ioctl: (fd, command, argument) => {
      if (command === TUNSETIFF) {
        const bytes = Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(BigInt(argument))!, 40);
        const flags = new DataView(bytes).getUint16(16, true);
        return (flags & IFF_VNET_HDR) !== 0 && !header ? fail(Errno.EINVAL) : 0;
      }
      if (command !== TUNSETOFFLOAD) return real.ioctl(fd, command, argument);
      asked.push(Number(argument));
      return taken(Number(argument)) ? 0 : fail(Errno.EINVAL);
    },
  }));
  try {
    return { tun: Tun.open(arena, "wgt0", features), asked, arena };
  } finally {
    kernel[Symbol.dispose]();
  }
}

for (
  const [name, taken, features, offloads, asked] of [
    ["all of it", () => true, BOTH, [true, true], [TSO | USO]],
    ["no USO (before Linux 6.2)", (f: number) => (f & USO4) === 0, BOTH, [true, false], [TSO | USO, TSO]],
    ["no TSO either", (f: number) => f === 0, BOTH, [false, false], [TSO | USO, TSO, USO, 0]],
    ["UDP switched off", () => true, { tcp: true, udp: false }, [true, false], [TSO]],
    ["TCP switched off", () => true, { tcp: false, udp: true }, [false, true], [USO]],
    ["both switched off", () => true, { tcp: false, udp: false }, [false, false], []],
  ] as const
) {
  Deno.test(`Tun.open() with ${name} requests no other features, and returns what it got`, () => {
    const { tun, asked: seen } = device(taken, features);
    deepEqual([tun.offloads.tcp, tun.offloads.udp], offloads);
    deepEqual(seen, asked);
    tun.close();
  });
}

Deno.test("Tun.open() works without IFF_VNET_HDR if the kernel has none, and packets then have no such header", () => {
  const { tun, arena, asked } = device(() => true, BOTH, false);
  deepEqual(tun.offloads, { header: false, tcp: false, udp: false });
  deepEqual(asked, []);
  const at = arena.allocate(100);
  const calls: [string, number, number][] = [];
  const offset = (address: Deno.PointerValue) => Number(Deno.UnsafePointer.value(address)) - arena.base - at;
  using _kernel = refusing(() => ({
    read: (_fd, address, size) => {
      calls.push(["read", offset(address), Number(size)]);
      return 20;
    },
    write: (_fd, address, size) => {
      calls.push(["write", offset(address), Number(size)]);
      return Number(size);
    },
  }));
  arena.bytes.fill(7, at, at + 100);
  equal(tun.read(at, 100), 30);
  ok(arena.bytes.subarray(at, at + 10).every((byte) => byte === 0), "the virtio header is empty");
  equal(tun.write(at, 30), 0);
  deepEqual(calls, [["read", 10, 90], ["write", 10, 20]]);
  tun.close();
});

Deno.test("Tun.read() reports the end only for a deleted device", () => {
  const { tun, arena } = device(() => true);
  const at = arena.allocate(100);
  for (const [name, code] of Object.entries(Errno)) {
    using _kernel = refusing(({ fail }) => ({ read: () => fail(code) }));
    const { readErrors } = tun;
    equal(tun.read(at, 100), 0, name);
    const gone = ["EBADFD", "EBADF", "ENODEV"].includes(name);
    equal(tun.deleted, gone, name);
    equal(tun.readErrors - readErrors, gone || ["EAGAIN", "EINTR"].includes(name) ? 0 : 1, name);
    tun.deleted = false;
  }
  // No bytes and no errno either: what errno says is of another call.
  using _kernel = refusing(({ fail }) => ({ read: () => fail(Errno.EBADFD) + 1 }));
  equal(tun.read(at, 100), 0);
  equal(tun.deleted, false);
  tun.close();
});

Deno.test("Tun.write() and writeParts() report every errno, and an incomplete write", () => {
  const { tun, arena } = device(() => true);
  const at = arena.allocate(100), parts = arena.allocate(16);
  [0, 50, 60, 10].forEach((value, i) => arena.view.setUint32(parts + 4 * i, value, true));
  for (const code of [Errno.EINVAL, Errno.EIO, Errno.ENOBUFS, Errno.EBADFD]) {
    using _kernel = refusing(({ fail }) => ({ write: () => fail(code), writev: () => fail(code) }));
    equal(tun.write(at, 60), code);
    equal(tun.writeParts(at, parts, 2), code);
  }
  equal(tun.writeErrors, 8);
  {
    using _kernel = refusing(() => ({ write: () => 59, writev: () => 59 }));
    equal(tun.write(at, 60), Errno.EIO);
    equal(tun.writeParts(at, parts, 2), Errno.EIO);
  }
  const seen: number[] = [];
  using _kernel = refusing(() => ({
    writev: (_fd, address, count) => {
      const list = new BigUint64Array(
        Deno.UnsafePointerView.getArrayBuffer(address!, 16 * count),
      );
      for (let i = 0; i < count; i++) {
        seen.push(Number(list[2 * i]) - arena.base - at, Number(list[2 * i + 1]));
      }
      return 60;
    },
  }));
  equal(tun.writeParts(at, parts, 2), 0);
  deepEqual(seen, [0, 50, 60, 10]);
  equal(tun.writeParts(at, parts, 1_025), Errno.EINVAL, "more parts than one write takes are refused");
  tun.close();
});

Deno.test("Tun leaves no descriptor behind if a descriptor cannot be opened", () => {
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = descriptors();
  {
    using _kernel = refusing(({ fail }) => ({ socket: () => fail(Errno.EMFILE) }));
    throws(() => device(() => true), SystemError);
  }
  equal(descriptors(), before);
  const { tun } = device(() => true);
  const opened = descriptors();
  for (const path of ["/proc/thread-self/ns/net", "socket"]) {
    using _kernel = refusing(({ fail }, real) => ({
      ioctl: () => real.eventfd(0, 0),
      setns: () => 0,
      open: (name, ...words) =>
        new TextDecoder().decode(name as Uint8Array).startsWith(path)
          ? fail(Errno.EMFILE)
          : real.open(name, ...words),
      socket: (...words) => path === "socket" ? fail(Errno.EMFILE) : real.socket(...words),
    }));
    throws(() => tun.follow(() => {}), SystemError);
    equal(descriptors(), opened, path);
  }
  tun.close();
});
