/**
 * Both ends open, close and send at once, or one before the other; and urgent bytes.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { AF_INET, SOCK_NONBLOCK, SOCK_STREAM } from "../../../../ffi/linux/constants.ts";
import { machineAddress } from "../../../../ffi/linux/arena.ts";
import { close, libc } from "../../../../ffi/linux/libc.ts";
import { eventually } from "../exec.ts";
import {
  byte,
  type Cases,
  count,
  forgotten,
  next,
  pattern,
  readAll,
  socketAddress,
  startConnecting,
  writeAll,
} from "./steps.ts";
import { ACK, FIN, RST, SYN, THEIRS, URG } from "./wire.ts";

const MSG_OOB = 1;

/** The cases by name. */
export const BOTH_ENDS: Cases = {
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
      equal(wire.host.usage.connections, 2, "both connections wait for late segments");
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
      ok(both > 0, "we sent bytes and the end in one segment");
      both = 0;
      wire.onGot = ({ flags, payload }) => void (flags & FIN && payload.length > 0 && both++);
      // Without our acknowledgements the kernel cannot send all of it before it is told of the end.
      wire.hold();
      const data = pattern(60_000);
      await writeAll(theirs, data);
      await theirs.closeWrite();
      wire.release();
      deepEqual(await readAll(ours), data);
      ok(both > 0, "the kernel sent bytes and the end in one segment");
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
};
