import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { LinuxEngine, type LinuxEngineOptions } from "../../../core/tunnel/linux_engine.ts";
import { SystemError } from "../../../ffi/linux/system_error.ts";
import type { Libc } from "../../../ffi/linux/libc.ts";
import {
  Errno,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from "../../../ffi/linux/constants.ts";
import { type Refusal, refusing } from "../ffi/refusing_kernel.ts";

const PATH = `${Deno.makeTempDirSync()}/wgfault0.sock`;

/** This process's open descriptors and what they are of, by number. */
function descriptors(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [`${name} ${Deno.readLinkSync(`/proc/self/fd/${name}`)}`];
    } catch {
      // The one that the folder was read by.
      return [];
    }
  }).sort();
}

/** A kernel whose TUN device is an eventfd; other calls fail as a test wants. */
function kernel(failing: (refusal: Refusal, real: Libc) => Partial<Libc>): Disposable {
  return refusing((refusal, real) => {
    const standIns = failing(refusal, real);
    return {
      ...standIns,
      open: (path, flags, mode) =>
        new TextDecoder().decode(path as Uint8Array).startsWith("/dev/net/tun")
          ? real.eventfd(0, SOCK_NONBLOCK | SOCK_CLOEXEC)
          : real.open(path, flags, mode),
      ioctl: (fd, command, argument) =>
        command === TUNSETIFF || command === TUNSETOFFLOAD ? 0 : standIns.ioctl?.(fd, command, argument) ?? 0,
    };
  });
}

function open(options: Partial<LinuxEngineOptions> = {}): LinuxEngine {
  return LinuxEngine.open({
    name: "wgfault0",
    disable: [],
    log: () => {},
    lookup: () => {},
    socketPath: PATH,
    ...options,
  });
}

function exists(path: string): boolean {
  try {
    return !!Deno.lstatSync(path);
  } catch {
    return false;
  }
}

for (
  const [name, failing] of [
    ["epoll_create1", ({ fail }) => ({ epoll_create1: () => fail(Errno.ENOMEM) })],
    ["timerfd_create", ({ fail }) => ({ timerfd_create: () => fail(Errno.ENOMEM) })],
    ["eventfd", ({ fail }) => ({ eventfd: () => fail(Errno.ENOMEM) })],
    ["inotify_init1", ({ fail }) => ({ inotify_init1: () => fail(Errno.ENOMEM) })],
    // fs.inotify.max_user_watches.
    ["inotify_add_watch", ({ fail }) => ({ inotify_add_watch: () => fail(Errno.ENOSPC) })],
    ["epoll_ctl", ({ fail }) => ({ epoll_ctl: () => fail(Errno.ENOSPC) })],
    ["listen", ({ fail }) => ({ listen: () => fail(Errno.EADDRINUSE) })],
    ["ioctl", ({ fail }) => ({ ioctl: () => fail(Errno.EPERM) })],
  ] as [string, (refusal: Refusal) => Partial<Libc>][]
) {
  Deno.test({
    name: `an engine that cannot be opened, since ${name} fails, leaves no descriptor and no socket file`,
    fn() {
      const before = descriptors();
      {
        using _kernel = kernel(failing);
        throws(() => open(), SystemError);
      }
      deepEqual(descriptors(), before);
      equal(exists(PATH), false);
    },
  });
}

Deno.test({
  name: "an engine that throws in the middle of its run leaves no descriptor, no socket file and no key",
  async fn() {
    const before = descriptors();
    let accepted = 0;
    using _kernel = kernel((_, real) => ({
      accept4: (...words) => {
        const fd = real.accept4(...words);
        if (fd >= 0) accepted++;
        return fd;
      },
      epoll_wait: (...words) => {
        if (accepted > 0) throw new TypeError("of a programming error");
        return real.epoll_wait(...words);
      },
    }));
    const running = open();
    const { device } = running.engine;
    device.setPrivateKey(crypto.getRandomValues(new Uint8Array(32)), { boot: 1 as never, wall: 1n });
    const held = device.privateKey!;
    ok(exists(PATH));
    const client = Deno.connect({ transport: "unix", path: PATH }).then((client) => client.close(), () => {});
    throws(() => running.run(), /of a programming error/);
    await client;
    deepEqual(descriptors(), before);
    equal(exists(PATH), false);
    equal(device.privateKey, null);
    ok(held.every((byte) => byte === 0));
  },
});

Deno.test({
  name:
    "a connection that finds no descriptor free is accepted later, and costs no processor time until then",
  async fn() {
    let [accepts, turns] = [0, 0];
    using _kernel = kernel(({ fail }, real) => ({
      accept4: (...words) => ++accepts === 1 ? fail(Errno.EMFILE) : real.accept4(...words),
      epoll_wait: (...words) => {
        turns++;
        if (accepts > 1) throw new Error("it was accepted");
        return real.epoll_wait(...words);
      },
    }));
    const said: string[] = [];
    const engine = open({ log: (_, message) => said.push(message) });
    // It takes turns of its own.
    engine.rehearsal.return();
    const client = Deno.connect({ transport: "unix", path: PATH }).then((client) => client.close(), () => {});
    const begun = performance.now();
    throws(() => engine.run(), /it was accepted/);
    const waited = performance.now() - begun;
    await client;
    ok(waited > 900, `it took ${waited} ms`);
    // A busy wait makes hundreds of thousands.
    ok(turns <= 10, `${turns} turns`);
    equal(said.filter((line) => /accepting a connection.*: too many open files/.test(line)).length, 1);
  },
});
