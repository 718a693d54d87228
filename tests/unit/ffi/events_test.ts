import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { BufferArena } from "../../../ffi/linux/arena.ts";
import { Clock } from "../../../ffi/linux/clock.ts";
import { Epoll } from "../../../ffi/linux/epoll.ts";
import { Errno } from "../../../ffi/linux/constants.ts";
import { SystemError } from "../../../ffi/linux/system_error.ts";
import { closeEventFd, makeEventFd, ringEventFd } from "../../../ffi/linux/eventfd.ts";
import { DeletionWatch } from "../../../ffi/linux/inotify.ts";
import * as linux from "../../../ffi/linux/constants.ts";
import { Netlink } from "../../../ffi/linux/netlink.ts";
import { TimerFd } from "../../../ffi/linux/timerfd.ts";
import { UnixListener } from "../../../ffi/linux/unix_socket.ts";
import { must } from "../../netns/lab/exec.ts";
import { findProgram } from "../../netns/peers/cache.ts";
import { testUnless } from "../../skip.ts";
import { refusing } from "./refusing_kernel.ts";

Deno.test("Clock: the boot clock is that of /proc/uptime, the wall clock is Date's", () => {
  const clock = new Clock(new BufferArena(256));
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1_000;
  ok(Math.abs(clock.boot() - uptime) < 1_000);
  ok(Math.abs(Number(clock.wall() / 1_000_000n) - Date.now()) < 1_000);
});

Deno.test("Epoll reports an eventfd after it is written, and not before", () => {
  const epoll = new Epoll(new BufferArena(4_096));
  const bell = makeEventFd();
  epoll.add(bell, linux.EPOLLIN);
  equal(epoll.wait(0), 0);
  ringEventFd(bell);
  equal(epoll.wait(1_000), 1);
  deepEqual([epoll.readyFd(0), epoll.readyEvents(0)], [bell, linux.EPOLLIN]);
  epoll.modify(bell, 0);
  equal(epoll.wait(0), 0);
  epoll.remove(bell);
  closeEventFd(bell);
  epoll.close();
});

Deno.test("TimerFd expires at its deadline, at once for one in the past, never for Infinity", () => {
  const arena = new BufferArena(4_096);
  const [epoll, timer, clock] = [new Epoll(arena), new TimerFd(arena), new Clock(arena)];
  epoll.add(timer.fd, linux.EPOLLIN);
  const deadline = clock.boot() + 5;
  timer.set(deadline);
  equal(epoll.wait(1_000), 1);
  ok(clock.boot() >= deadline);
  timer.acknowledge();
  equal(epoll.wait(0), 0);
  timer.set(-3);
  equal(epoll.wait(1_000), 1);
  timer.set(Infinity);
  equal(epoll.wait(0), 0);
  timer.close();
  epoll.close();
});

Deno.test("UnixListener refuses a path that is in use, replaces an unused one, and is private", () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/sub/a.sock`;
  const first = UnixListener.open(path);
  equal(Deno.statSync(path).mode! & 0o777, 0o600);
  equal(Deno.statSync(`${folder}/sub`).mode! & 0o777, 0o755);
  throws(
    () => UnixListener.open(path),
    (error) => error instanceof SystemError && error.code === "EADDRINUSE",
  );
  first.close();
  ok(Deno.statSync(path), "the file stays after closing, as after a crash");
  const second = UnixListener.open(path);
  equal(second.accept(), null);
  second.remove();
  second.close();
  throws(() => Deno.statSync(path), Deno.errors.NotFound);
  throws(() => UnixListener.open(`${folder}/${"x".repeat(200)}`), RangeError);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("UnixStream transfers bytes in both directions without blocking", async () => {
  const path = `${await Deno.makeTempDir()}/a.sock`;
  const listener = UnixListener.open(path);
  const client = await Deno.connect({ transport: "unix", path });
  const stream = listener.accept()!;
  const buffer = new Uint8Array(100);
  equal(stream.read(buffer), -1, "there is nothing to read");
  await client.write(new Uint8Array([1, 2, 3]));
  equal(stream.read(buffer), 3);
  const block = new Uint8Array(1 << 20);
  let taken = 0;
  for (let wrote = stream.write(block); wrote >= 0; wrote = stream.write(block)) taken += wrote;
  ok(taken > 0, "writing does not wait for a reader that does not read");
  client.close();
  equal(stream.write(block), -2, "writing to a closed connection is an error, not a signal");
  stream.close();
  listener.close();
});

Deno.test("DeletionWatch distinguishes the deletion of its file from a chmod and from other deletions", () => {
  const folder = Deno.makeTempDirSync();
  for (const name of ["a", "b"]) Deno.writeTextFileSync(`${folder}/${name}`, "");
  const watch = new DeletionWatch(`${folder}/a`);
  Deno.chmodSync(`${folder}/a`, 0o600);
  Deno.removeSync(`${folder}/b`);
  equal(watch.deleted(), false);
  Deno.removeSync(`${folder}/a`);
  equal(watch.deleted(), true);
  watch.close();
  Deno.removeSync(folder);
});

Deno.test("DeletionWatch checks its file when the kernel has dropped events", () => {
  const folder = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${folder}/a`, "");
  const watch = new DeletionWatch(`${folder}/a`);
  // An event of a queue that was full: watch -1, no name.
  const overflow = new Uint8Array(16);
  new DataView(overflow.buffer).setInt32(0, -1, true);
  new DataView(overflow.buffer).setUint32(4, linux.IN_Q_OVERFLOW, true);
  let full = true;
  using _kernel = refusing(({ fail }) => ({
    read: (_fd, buffer) => {
      if (!full) return fail(Errno.EAGAIN);
      full = false;
      new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(buffer!, 16)).set(overflow);
      return 16;
    },
  }));
  equal(watch.deleted(), false);
  Deno.removeSync(`${folder}/a`);
  full = true;
  equal(watch.deleted(), true);
  watch.close();
  Deno.removeSync(folder);
});

Deno.test("UnixListener replaces a socket only if it is known to be unused", () => {
  const path = `${Deno.makeTempDirSync()}/a.sock`;
  UnixListener.open(path).close();
  for (const code of [Errno.EACCES, Errno.EAGAIN, Errno.ENOMEM]) {
    using _kernel = refusing(({ fail }) => ({ connect: () => fail(code) }));
    throws(() => UnixListener.open(path), SystemError);
    ok(Deno.statSync(path).isSocket);
  }
  Deno.removeSync(path);
  // A file that is not a socket is replaced.
  Deno.writeTextFileSync(path, "");
  const listener = UnixListener.open(path);
  listener.remove();
  listener.close();
});

Deno.test("UnixListener.accept() distinguishes a connection without a free descriptor from no connection", () => {
  const path = `${Deno.makeTempDirSync()}/a.sock`;
  const listener = UnixListener.open(path);
  equal(listener.accept(), null);
  for (const code of [Errno.EINTR, Errno.ECONNABORTED]) {
    using _kernel = refusing(({ fail }) => ({ accept4: () => fail(code) }));
    equal(listener.accept(), null);
  }
  for (const code of [Errno.EMFILE, Errno.ENFILE, Errno.ENOBUFS, Errno.ENOMEM]) {
    using _kernel = refusing(({ fail }) => ({ accept4: () => fail(code) }));
    throws(() => listener.accept(), (error) => error instanceof SystemError && error.errno === code);
  }
  listener.remove();
  listener.close();
});

/** Under an emulator this is skipped, because gcc is the machine's own. */
const CC = Deno.env.get("CC") ?? "gcc";
const compiler = findProgram(CC) ? undefined : `no ${CC}`;
testUnless("numbers and offsets are those of this machine's headers", compiler, async () => {
  const names = Object.entries(linux).filter(([name, value]) =>
    typeof value === "number" && !/^(RTMGRP|IFLA|IN_|CLONE|RTM_|NETLINK)/.test(name) ||
    /^(IN_|CLONE_)/.test(name)
  ) as [string, number][];
  const offsets: [string, number][] = [
    ["offsetof(struct msghdr, msg_namelen)", linux.MSGHDR.nameLength],
    ["offsetof(struct msghdr, msg_iov)", linux.MSGHDR.iov],
    ["offsetof(struct msghdr, msg_iovlen)", linux.MSGHDR.iovLength],
    ["offsetof(struct msghdr, msg_control)", linux.MSGHDR.control],
    ["offsetof(struct msghdr, msg_controllen)", linux.MSGHDR.controlLength],
    ["offsetof(struct msghdr, msg_flags)", linux.MSGHDR.flags],
    ["sizeof(struct msghdr)", linux.MSGHDR.size],
    ["sizeof(struct iovec)", linux.IOVEC.size],
    ["sizeof(struct cmsghdr)", linux.CMSGHDR.size],
    ["offsetof(struct cmsghdr, cmsg_level)", linux.CMSGHDR.level],
    ["offsetof(struct cmsghdr, cmsg_type)", linux.CMSGHDR.type],
    ["sizeof(struct epoll_event)", linux.EPOLL_EVENT.size],
    ["offsetof(struct epoll_event, data)", linux.EPOLL_EVENT.data],
    ["sizeof(struct ifreq)", linux.IFREQ.size],
    ["offsetof(struct ifreq, ifr_flags)", linux.IFREQ.data],
    ["sizeof(struct nlmsghdr)", linux.NLMSGHDR.size],
    ["offsetof(struct nlmsghdr, nlmsg_type)", linux.NLMSGHDR.type],
    ["offsetof(struct nlmsghdr, nlmsg_flags)", linux.NLMSGHDR.flags],
    ["offsetof(struct nlmsghdr, nlmsg_seq)", linux.NLMSGHDR.sequence],
    ["sizeof(struct nlattr)", linux.NLATTR.size],
    ["offsetof(struct nlattr, nla_type)", linux.NLATTR.type],
    ["sizeof(struct genlmsghdr)", linux.GENLMSGHDR.size],
    ["offsetof(struct genlmsghdr, version)", linux.GENLMSGHDR.version],
    ["sizeof(struct sockaddr_in)", linux.SOCKADDR_IN.size],
    ["offsetof(struct sockaddr_in, sin_port)", linux.SOCKADDR_IN.port],
    ["offsetof(struct sockaddr_in, sin_addr)", linux.SOCKADDR_IN.address],
    ["sizeof(struct sockaddr_in6)", linux.SOCKADDR_IN6.size],
    ["offsetof(struct sockaddr_in6, sin6_port)", linux.SOCKADDR_IN6.port],
    ["offsetof(struct sockaddr_in6, sin6_addr)", linux.SOCKADDR_IN6.address],
    ["offsetof(struct sockaddr_in6, sin6_scope_id)", linux.SOCKADDR_IN6.scope],
    ["sizeof(struct if_nameindex)", linux.IF_NAMEINDEX.size],
    ["offsetof(struct if_nameindex, if_index)", linux.IF_NAMEINDEX.index],
    ["offsetof(struct if_nameindex, if_name)", linux.IF_NAMEINDEX.name],
    ["sizeof(struct ifinfomsg)", linux.IFINFOMSG.size],
    ["offsetof(struct ifinfomsg, ifi_index)", linux.IFINFOMSG.index],
    ["offsetof(struct ifinfomsg, ifi_flags)", linux.IFINFOMSG.flags],
    ["offsetof(struct ifinfomsg, ifi_change)", linux.IFINFOMSG.change],
  ];
  const expected = [...names, ...Object.entries(linux.Errno), ...offsets];
  // Macros that older headers lack are detected by #ifdef, and all others must exist. Of enumerations, only the newest
  // values may be missing.
  const enumerated = /^(CTRL_|WG(_CMD|DEVICE|PEER|ALLOWEDIP_A_(?!FLAGS)))/;
  const lines = expected.map(([name, value]) =>
    /^[A-Z]/.test(name) && !enumerated.test(name)
      ? `#ifdef ${name}\n if ((long)${name} != ${value}L) printf("${name} is %ld\\n", (long)${name});\n#endif`
      : `if ((long)${name} != ${value}L) printf("${name} is %ld\\n", (long)${name});`
  );
  const headers = [
    "errno.h",
    "stddef.h",
    "stdio.h",
    "fcntl.h",
    "sched.h",
    "time.h",
    "netinet/in.h",
    "netinet/udp.h",
    "sys/epoll.h",
    "sys/inotify.h",
    "sys/ioctl.h",
    "sys/socket.h",
    "sys/syscall.h",
    "sys/timerfd.h",
    "sys/uio.h",
    "net/if.h",
    "linux/genetlink.h",
    "linux/if_tun.h",
    "linux/rtnetlink.h",
    "linux/sockios.h",
    "linux/wireguard.h",
  ];
  const source = `#define _GNU_SOURCE\n${headers.map((header) => `#include <${header}>`).join("\n")}
int main(void) {\n${lines.join("\n")}\nreturn 0; }\n`;
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/a.c`, source);
  await must([CC, "-o", `${folder}/a`, `${folder}/a.c`]);
  equal(await must([`${folder}/a`]), "");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("Netlink: moving an interface repeatedly does not leak memory", () => {
  const arena = new BufferArena(3 * 32_768);
  let last = new Netlink(arena);
  for (let i = 0; i < 20; i++) {
    const next = new Netlink(arena);
    last.close();
    last = next;
  }
  deepEqual([...last.events()], []);
  last.close();
});

Deno.test("Netlink: failing to open a socket repeatedly does not leak memory", () => {
  const arena = new BufferArena(2 * 32_768);
  for (const call of ["socket", "bind"] as const) {
    using _kernel = refusing(({ fail }) => ({ [call]: () => fail(Errno.EMFILE) }));
    for (let i = 0; i < 20; i++) throws(() => new Netlink(arena), SystemError);
  }
  new Netlink(arena).close();
});
