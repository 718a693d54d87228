/**
 * Test cases for a connection between the kernel's TCP and ours. `tcp_test.ts` runs each case in a separate host:
 *
 *     tcp_cases.ts NAME
 *
 * @module
 */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { AF_INET, SOCK_NONBLOCK, SOCK_STREAM } from "../../../ffi/linux/constants.ts";
import { machineAddress } from "../../../ffi/linux/arena.ts";
import { close, errno, libc } from "../../../ffi/linux/libc.ts";
import { parseAddress } from "../../../core/config/address.ts";
import { eventually, must } from "./exec.ts";
import { farHost } from "./far_host.ts";
import {
  ACK,
  FIN,
  OURS,
  RST,
  type Segment,
  SYN,
  TcpWire,
  THEIRS,
  URG,
  type WireOptions,
} from "./tcp_wire.ts";
import { answer, exchange } from "./transfer.ts";

const { BadResource, BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut } = Deno.errors;
const MSG_OOB = 1;
const EINPROGRESS = 115;
const byte = Uint8Array.of(120);

/** One case. */
interface Case {
  /** The kernel's settings before the test. */
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly wire?: WireOptions;
  readonly run: (wire: TcpWire) => Promise<void>;
}

/** Bytes that all differ from their neighbours. */
function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => Math.imul(i, 2_654_435_761) >>> 13);
}

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let written = 0; written < data.length;) written += await conn.write(data.subarray(written));
}

/** Reads to the end, or until so many bytes have come. */
async function readAll(conn: Deno.Conn, most = Infinity): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < most) {
    const chunk = new Uint8Array(Math.min(65_536, most - length));
    const count = await conn.read(chunk);
    if (count === null) break;
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  const all = new Uint8Array(length);
  chunks.reduce((at, chunk) => (all.set(chunk, at), at + chunk.length), 0);
  return all;
}

/** Writes for ever. */
async function flood(conn: Deno.Conn): Promise<never> {
  const block = pattern(65_536);
  for (;;) await conn.write(block);
}

/** Writes until the peer's window is shut, and goes on when it opens. @returns How it ends. */
async function flooded(wire: TcpWire, conn: Deno.Conn): Promise<{ error: Promise<unknown> }> {
  const shut = Promise.withResolvers<void>();
  wire.onGot = ({ window }) => {
    if (window === 0) shut.resolve();
  };
  const error = flood(conn).catch((error) => error);
  await shut.promise;
  return { error };
}

/** The kernel closes its end while a byte is unread, so it sends a reset (RFC 2525 §2.17). */
async function resetByKernel(wire: TcpWire, ours: Deno.Conn, theirs: Deno.Conn): Promise<void> {
  const acknowledged = new Promise<void>((resolve) =>
    wire.onGot = ({ flags }) => void (flags & ACK && resolve())
  );
  await ours.write(byte);
  await acknowledged;
  theirs.close();
}

/** No state of our connections is left. */
async function forgotten({ host }: TcpWire): Promise<void> {
  await eventually("everything to be forgotten", () => {
    const { connections, bytes } = host.usage;
    return connections === 0 && bytes === 0;
  });
}

/** The next segment that a side sends, of some kind. */
function next(wire: TcpWire, side: "onSent" | "onGot", flag: number): Promise<Segment> {
  return new Promise((resolve) => {
    wire[side] = (segment) => void (segment.flags & flag && resolve(segment));
  });
}

/** Makes our end close a connection first, so that it is in TIME-WAIT. @returns The kernel's FIN. */
async function timeWait(wire: TcpWire): Promise<Segment> {
  const [ours, theirs] = await wire.connect();
  ours.close();
  equal(await theirs.read(new Uint8Array(9)), null);
  const last = next(wire, "onGot", FIN);
  theirs.close();
  const fin = await last;
  await eventually("our last acknowledgement", () => wire.sent.at(-1) === ACK);
  return fin;
}

/** Both ends send bytes and compare what they get. */
async function both(ours: Deno.Conn, theirs: Deno.Conn, bytes: number): Promise<void> {
  const answered = answer(theirs);
  await exchange(ours, bytes);
  ours.close();
  await answered;
  theirs.close();
}

/** As `both`, with connections that either has opened. */
async function exchangeBoth(wire: TcpWire, bytes: number): Promise<void> {
  for (const opened of [await wire.connect(), await wire.accept(), await wire.connect(6)]) {
    const [ours, theirs] = opened;
    await both(ours, theirs, bytes);
  }
}

function count(flags: readonly number[], flag: number): number {
  return flags.filter((flags) => flags & flag).length;
}

/** Connects a socket of the kernel to one of our ports. It does not wait until it is connected. */
function startConnecting(fd: number, port: number): void {
  const address = socketAddress(OURS[4], port);
  if (libc().connect(fd, address, address.length) < 0) equal(errno(), EINPROGRESS);
}

/** A `sockaddr_in`. */
function socketAddress(hostname: string, port: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  address.set(parseAddress(hostname)!, 4);
  return address;
}

/** All cases by name. */
export const CASES: Readonly<Record<string, Case>> = {
  "a reset answers our SYN": {
    run: async (wire) => {
      for (const hostname of Object.values(THEIRS)) {
        await rejects(wire.net.connect({ hostname, port: 9 }), ConnectionRefused);
      }
      await forgotten(wire);
    },
  },
  "a reset answers our SYN, ACK": {
    run: async (wire) => {
      using listener = wire.net.listen({ port: 80 });
      wire.onGot = ({ flags }) => (flags & RST) === 0;
      // Its end is closed before our answer arrives, so the kernel has no socket for it.
      wire.hold();
      const fd = libc().socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      startConnecting(fd, listener.addr.port);
      await eventually("the SYN", () => count(wire.seen, SYN) > 0);
      close(fd);
      wire.onGot = () => true;
      wire.release();
      await eventually("the reset", () => count(wire.got, RST) > 0);
      await forgotten(wire);
    },
  },
  "a reset of an open connection ends reads and writes": {
    run: async (wire) => {
      for (const [ours, theirs] of [await wire.connect(), await wire.accept(6)]) {
        const read = rejects(ours.read(new Uint8Array(9)), ConnectionReset);
        await resetByKernel(wire, ours, theirs);
        await read;
        await rejects(ours.write(byte), ConnectionReset);
        ours.close();
      }
      await forgotten(wire);
    },
  },
  "a reset lets what came before it be read": {
    run: async (wire) => {
      const [ours, theirs] = await wire.connect();
      await writeAll(theirs, pattern(1_000));
      await resetByKernel(wire, ours, theirs);
      await eventually("the reset", () => count(wire.got, RST) > 0);
      deepEqual(await readAll(ours, 1_000), pattern(1_000));
      await rejects(ours.read(new Uint8Array(9)), ConnectionReset);
      ours.close();
    },
  },
  "a reset with much in flight": {
    run: async (wire) => {
      const [ours, theirs] = await wire.connect();
      const { error } = await flooded(wire, ours);
      theirs.close();
      ok(await error instanceof ConnectionReset);
      ours.close();
      await forgotten(wire);
    },
  },
  "a reset after we have ended our stream": {
    run: async (wire) => {
      const [ours, theirs] = await wire.connect();
      const acknowledgement = next(wire, "onGot", ACK);
      await ours.closeWrite();
      equal(await theirs.read(new Uint8Array(9)), null);
      const last = await acknowledgement;
      wire.inject(last.reset(last.seq));
      await rejects(ours.read(new Uint8Array(9)), ConnectionReset);
      ours.close();
      await forgotten(wire);
      theirs.close();
    },
  },
  "a reset after the kernel has ended its stream": {
    run: async (wire) => {
      const [ours, theirs] = await wire.connect();
      await theirs.closeWrite();
      equal(await ours.read(new Uint8Array(9)), null);
      await resetByKernel(wire, ours, theirs);
      await rejects(flood(ours), ConnectionReset);
      ours.close();
      await forgotten(wire);
    },
  },
  "a reset in TIME-WAIT": {
    run: async (wire) => {
      const fin = await timeWait(wire);
      equal(wire.host.usage.connections, 1, "it waits for late segments");
      wire.inject(fin.reset(fin.seq + fin.payload.length));
      equal(wire.host.usage.connections, 1, "a sequence number before the end is an old one");
      wire.inject(fin.reset(fin.seq + fin.payload.length + 1));
      await forgotten(wire);
    },
  },
  "TIME-WAIT answers a repeated end, and ends after a minute": {
    run: async (wire) => {
      const fin = await timeWait(wire);
      const before = wire.sent.length;
      wire.inject(fin);
      deepEqual(wire.sent.slice(before), [ACK]);
      await wire.skip(61);
      await forgotten(wire);
    },
  },
  "we reset an open connection, at rest and with the window shut": {
    run: async (wire) => {
      const [quiet, kernelQuiet] = await wire.connect();
      quiet.abort();
      await rejects(kernelQuiet.read(new Uint8Array(9)), ConnectionReset);
      const [ours, theirs] = await wire.connect();
      const { error } = await flooded(wire, ours);
      await wire.skip(2);
      ours.abort();
      ok(await error instanceof BadResource);
      await rejects(readAll(theirs), ConnectionReset);
      await forgotten(wire);
    },
  },
  "we reset half-closed connections": {
    run: async (wire) => {
      const [ended, theirs] = await wire.connect();
      await ended.closeWrite();
      equal(await theirs.read(new Uint8Array(9)), null);
      ended.abort();
      // Of a stream that has ended, the kernel says it so (tcp_reset).
      await rejects(flood(theirs), BrokenPipe);
      const [ours, ending] = await wire.connect();
      await ending.closeWrite();
      equal(await ours.read(new Uint8Array(9)), null);
      ours.abort();
      await rejects(ending.read(new Uint8Array(9)), ConnectionReset);
      await forgotten(wire);
    },
  },
  "a connection that is closed with unread bytes is reset, and so is one that gets bytes later": {
    run: async (wire) => {
      const [unread, theirs] = await wire.connect();
      const arrives = next(wire, "onGot", ACK);
      await theirs.write(byte);
      await arrives;
      unread.close();
      await rejects(theirs.read(new Uint8Array(9)), ConnectionReset);
      const [later, sender] = await wire.connect();
      later.close();
      equal(await sender.read(new Uint8Array(9)), null);
      await rejects(flood(sender), BrokenPipe);
      await forgotten(wire);
    },
  },
  "a host that has restarted opens a connection in the place of an old one": {
    wire: { localPort: 50_000 },
    run: async (wire) => {
      using listener = Deno.listen({ hostname: THEIRS[4], port: 8_080 });
      const remote = { hostname: THEIRS[4], port: 8_080 };
      const [, old] = await Promise.all([wire.net.connect(remote), listener.accept()]);
      await wire.restart();
      const [ours, theirs] = await Promise.all([wire.net.connect(remote), listener.accept()]);
      await rejects(old.read(new Uint8Array(9)), ConnectionReset);
      await ours.write(byte);
      equal(await theirs.read(new Uint8Array(9)), 1);
    },
  },
  "a window of the kernel's that is shut for an hour": {
    run: async (wire) => {
      const [ours, theirs] = await wire.connect();
      const data = pattern(12_000_000);
      const shut = new Promise<void>((resolve) =>
        wire.onGot = ({ window }) => void (window === 0 && resolve())
      );
      const written = writeAll(ours, data).then(() => ours.closeWrite());
      await shut;
      const before = wire.sent.length;
      await wire.skip(3_600);
      const probes = wire.sent.length - before;
      ok(probes >= 50 && probes <= 100, `${probes} probes`);
      deepEqual(await readAll(theirs), data);
      await written;
    },
  },
  "a window of ours that is shut for a long time": {
    run: async (wire) => {
      const [ours, theirs] = await wire.accept();
      const data = pattern(12_000_000);
      const written = writeAll(theirs, data).then(() => theirs.closeWrite());
      await eventually("the window to shut", () => wire.lastWindow === 0);
      const before = wire.got.length;
      await eventually("several probes", () => wire.got.length >= before + 3, { within: 20_000 });
      deepEqual(await readAll(ours), data);
      await written;
    },
  },
  "an end whose window stays shut does not keep a closed connection for ever": {
    run: async (wire) => {
      const [ours] = await wire.connect();
      const { error } = await flooded(wire, ours);
      ours.close();
      await error;
      await wire.skip(400);
      await forgotten(wire);
    },
  },
  "a reader that takes a byte at a time gets no segments of a few bytes": {
    run: async (wire) => {
      const [ours, theirs] = await wire.accept();
      const written = writeAll(theirs, pattern(400_000));
      await eventually("the window to shut", () => wire.lastWindow === 0);
      let small = 0;
      wire.onGot = ({ payload }) => void (payload.length > 0 && payload.length < 1_000 && small++);
      const before = wire.got.length;
      const one = new Uint8Array(1);
      for (let i = 0; i < 20_000; i++) await ours.read(one);
      ok(small <= 5, `${small} small segments of ${wire.got.length - before}`);
      await readAll(ours, 380_000);
      await written;
    },
  },
  "a kernel that is gone while bytes are in flight": {
    run: async (wire) => {
      for (const [ours] of [await wire.connect(), await wire.accept(6)]) {
        const read = ours.read(new Uint8Array(9)).catch((error) => error);
        wire.onSent = wire.onGot = () => false;
        const before = wire.sent.length;
        await ours.write(byte);
        await wire.skip(300);
        const error = await read;
        ok(error instanceof TimedOut);
        match((error as Error).message, /^(10\.7\.0\.1|\[fd07::1\]):\d+ did not answer$/);
        await rejects(ours.write(byte), TimedOut);
        const tries = wire.sent.length - before;
        ok(tries >= 5 && tries <= 20, `${tries} tries`);
        ours.close();
        wire.onSent = wire.onGot = () => true;
      }
      await forgotten(wire);
    },
  },
  "a kernel that never answers": {
    run: async (wire) => {
      wire.onGot = () => false;
      const connected = wire.net.connect({ hostname: THEIRS[4], port: 80 }).catch((error) => error);
      await wire.skip(70);
      ok(await connected instanceof TimedOut);
      equal(count(wire.sent, SYN), 6);
      await forgotten(wire);
    },
  },
  "keepalives find out that an idle kernel is gone, and leave one alone that is not": {
    run: async (wire) => {
      const [ours] = await wire.connect();
      ours.setKeepAlive(true);
      const [idle] = await wire.connect();
      const before = wire.sent.length;
      await wire.skip(3 * 7_200 + 60, 20);
      equal(wire.sent.length - before, 3, "one every two hours, of one connection");
      const read = ours.read(new Uint8Array(9)).catch((error) => error);
      wire.onGot = () => false;
      await wire.skip(7_200 + 9 * 75 + 60, 20);
      ok(await read instanceof TimedOut);
      equal(wire.sent.length - before, 3 + 9);
      ours.close();
      idle.close();
    },
  },
  "both ends open at once": {
    wire: { localPort: 50_000 },
    run: async (wire) => {
      const fd = libc().socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      const theirs = socketAddress(THEIRS[4], 8_080);
      equal(libc().bind(fd, theirs, theirs.length), 0);
      try {
        wire.hold();
        const connected = wire.net.connect({ hostname: THEIRS[4], port: 8_080 });
        startConnecting(fd, 50_000);
        await eventually("both SYNs", () => count(wire.seen, SYN) > 0 && count(wire.sent, SYN) > 0);
        // With the kernel's answer to our SYN lost, ours to its SYN has to open the connection.
        let lost = false;
        wire.onGot = ({ flags }) => {
          const loses = flags === (SYN | ACK) && !lost;
          lost ||= loses;
          return !loses;
        };
        wire.release();
        const ours = await connected;
        ok(lost && wire.sent.includes(SYN | ACK), "each end answers the other's SYN");
        equal(count(wire.sent, RST) + count(wire.got, RST), 0);
        await ours.write(pattern(1_000));
        const got = new Uint8Array(2_000);
        await eventually("our bytes", () => libc().recv(fd, machineAddress(got), got.length, 0) === 1_000);
        deepEqual(got.subarray(0, 1_000), pattern(1_000));
        const answer = new TextEncoder().encode("answer");
        equal(libc().send(fd, machineAddress(answer), answer.length, 0), answer.length);
        deepEqual(await readAll(ours, answer.length), answer);
        ours.close();
      } finally {
        close(fd);
      }
    },
  },
  "both ends close at once": {
    run: async (wire) => {
      for (const [ours, theirs] of [await wire.connect(), await wire.accept(6)]) {
        await Promise.all([ours.write(byte), theirs.write(byte)]);
        await Promise.all([ours.read(new Uint8Array(9)), theirs.read(new Uint8Array(9))]);
        wire.hold();
        await Promise.all([ours.closeWrite(), theirs.closeWrite()]);
        await eventually("both ends", () => count(wire.seen, FIN) > 0 && count(wire.sent, FIN) > 0);
        wire.release();
        equal(await ours.read(new Uint8Array(9)), null);
        equal(await theirs.read(new Uint8Array(9)), null);
        ours.close();
        theirs.close();
        wire.sent.length = wire.seen.length = 0;
      }
      equal(wire.host.usage.connections, 2, "both wait for late segments");
      equal(count(wire.got, RST) + count(wire.sent, RST), 0);
      await wire.skip(61);
      await forgotten(wire);
    },
  },
  "each end may end its stream first, and the other one goes on for as long as it likes": {
    run: async (wire) => {
      const data = pattern(3_000_000);
      for (const [ours, theirs] of [await wire.connect(), await wire.accept(6)]) {
        await ours.closeWrite();
        equal(await theirs.read(new Uint8Array(9)), null);
        await wire.skip(600, 10);
        const written = writeAll(theirs, data).then(() => theirs.closeWrite());
        deepEqual(await readAll(ours), data);
        await written;
        ours.close();
        theirs.close();
      }
      const [ours, theirs] = await wire.connect();
      await theirs.closeWrite();
      equal(await ours.read(new Uint8Array(9)), null);
      await wire.skip(600, 10);
      const written = writeAll(ours, data).then(() => ours.closeWrite());
      deepEqual(await readAll(theirs), data);
      await written;
      ours.close();
      theirs.close();
    },
  },
  "bytes and the end in one segment, both ways": {
    run: async (wire) => {
      const [ours, theirs] = await wire.connect();
      let both = 0;
      wire.onSent = ({ flags, payload }) => void (flags & FIN && payload.length > 0 && both++);
      const written = ours.write(byte);
      const closed = ours.closeWrite();
      await Promise.all([written, closed]);
      deepEqual(await readAll(theirs), byte);
      ok(both > 0, "we sent both in one");
      both = 0;
      wire.onGot = ({ flags, payload }) => void (flags & FIN && payload.length > 0 && both++);
      // Without our acknowledgements the kernel cannot send all of it before it is told of the end.
      wire.hold();
      const data = pattern(60_000);
      await writeAll(theirs, data);
      await theirs.closeWrite();
      wire.release();
      deepEqual(await readAll(ours), data);
      ok(both > 0, "and so did the kernel");
      equal(count(wire.sent, RST), 0);
    },
  },
  "urgent bytes come in their place": {
    run: async (wire) => {
      using listener = wire.net.listen({ port: 80 });
      const fd = libc().socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      try {
        startConnecting(fd, 80);
        const ours = await listener.accept();
        const urgent = next(wire, "onGot", URG);
        for (const [text, flags] of [["before ", 0], ["urgent", MSG_OOB], [" after", 0]] as const) {
          const bytes = new TextEncoder().encode(text);
          equal(libc().send(fd, machineAddress(bytes), bytes.length, flags), bytes.length);
        }
        equal(new TextDecoder().decode(await readAll(ours, 19)), "before urgent after");
        await urgent;
      } finally {
        close(fd);
      }
    },
  },
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

if (import.meta.main) {
  const { sysctl = {}, wire: options, run } = CASES[Deno.args[0]!]!;
  for (const [name, value] of Object.entries(sysctl)) await must(["sysctl", "-qw", `${name}=${value}`]);
  await using wire = await TcpWire.open(options);
  try {
    await run(wire);
  } catch (error) {
    // Before the wire is removed, which would cause other errors.
    console.error(error);
    Deno.exit(1);
  }
}
