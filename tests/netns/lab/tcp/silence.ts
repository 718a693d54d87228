/**
 * Windows that stay shut, and ends that are silent or gone.
 *
 * @module
 */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { eventually } from "../exec.ts";
import { byte, type Cases, count, flooded, forgotten, pattern, readAll, writeAll } from "./steps.ts";
import { SYN, THEIRS } from "./wire.ts";

const { TimedOut } = Deno.errors;

/** The cases by name. */
export const SILENCE: Cases = {
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
      equal(wire.sent.length - before, 3, "one connection sends a keepalive every two hours");
      const read = ours.read(new Uint8Array(9)).catch((error) => error);
      wire.onGot = () => false;
      await wire.skip(7_200 + 9 * 75 + 60, 20);
      ok(await read instanceof TimedOut);
      equal(wire.sent.length - before, 3 + 9);
      ours.close();
      idle.close();
    },
  },
};
