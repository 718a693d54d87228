/**
 * Resets at every point of a connection, by either end.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { AF_INET, SOCK_NONBLOCK, SOCK_STREAM } from "../../../../ffi/linux/constants.ts";
import { close, libc } from "../../../../ffi/linux/libc.ts";
import { eventually } from "../exec.ts";
import {
  byte,
  type Cases,
  count,
  flood,
  flooded,
  forgotten,
  next,
  pattern,
  readAll,
  startConnecting,
  writeAll,
} from "./steps.ts";
import { ACK, FIN, RST, type Segment, SYN, type TcpWire, THEIRS } from "./wire.ts";

const { BadResource, BrokenPipe, ConnectionRefused, ConnectionReset } = Deno.errors;

/** The kernel closes its end while a byte is unread, so it sends a reset (RFC 2525 §2.17). */
async function resetByKernel(wire: TcpWire, ours: Deno.Conn, theirs: Deno.Conn): Promise<void> {
  const acknowledged = new Promise<void>((resolve) =>
    wire.onGot = ({ flags }) => void (flags & ACK && resolve())
  );
  await ours.write(byte);
  await acknowledged;
  theirs.close();
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

/** The cases by name. */
export const RESETS: Cases = {
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
      equal(wire.host.usage.connections, 1, "the connection waits for late segments");
      wire.inject(fin.reset(fin.seq + fin.payload.length));
      equal(wire.host.usage.connections, 1, "a reset with an old sequence number changes nothing");
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
};
