/**
 * History of traffic: what interfaces count becomes totals and rows that outlive them.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { readHistory } from "../../../core/web/live/history.ts";
import { eachDatabase } from "./databases.ts";
import type { TestDatabase } from "./test_database.ts";

const MINUTE = 60_000;
const NOON = Date.UTC(2026, 0, 31, 12);
const KEY = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";

async function storeWithDevice(database: TestDatabase) {
  await using made = new AsyncDisposableStack();
  const store = made.use(await database.store());
  const network = await store.networks.add({
    name: "wg0",
    interface: "wg0",
    addresses: ["10.8.0.1/24"],
    endpoint: "192.0.2.1:51820",
    dns: [],
    allowedIps: ["0.0.0.0/0"],
    mtu: null,
    keepalive: null,
    publicKey: KEY,
    listenPort: 51820,
  }, NOON);
  const device = await store.devices.add({ networkId: network.id, name: "phone", publicKey: KEY }, NOON);
  const record = (rxBytes: number, txBytes: number, now: number) =>
    store.traffic.record(
      network.id,
      "here",
      [[{ publicKey: KEY, endpoint: "192.0.2.7:1", lastHandshakeAt: now, rxBytes, txBytes }]],
      now,
    );
  return { store, device, record, made: made.move() };
}

eachDatabase(
  "traffic is the increase of a counter, or its whole value after the interface was made anew",
  async (database) => {
    const { store, device, record, made } = await storeWithDevice(database);
    await using _made = made;
    await record(100, 1_000, NOON);
    await record(150, 1_000, NOON + MINUTE);
    await record(30, 400, NOON + 2 * MINUTE);
    const now = NOON + 2 * MINUTE + 1;
    const { step, points } = await readHistory(store.traffic, device.id, "hour", now);
    equal(step, MINUTE);
    equal(points.length, 60);
    deepEqual(points.slice(-4), [
      [NOON - MINUTE, 0, 0],
      [NOON, 100, 1_000],
      [NOON + MINUTE, 50, 0],
      [NOON + 2 * MINUTE, 30, 400],
    ]);
    const { rxBytes, txBytes, endpoint } = (await store.devices.find(device.id))!;
    deepEqual({ rxBytes, txBytes, endpoint }, { rxBytes: 180, txBytes: 1_400, endpoint: "192.0.2.7:1" });
  },
);

eachDatabase("every span adds up to the same bytes, and minutes are kept for two days", async (database) => {
  const { store, device, record, made } = await storeWithDevice(database);
  await using _made = made;
  let total = 0;
  for (let minute = 0; minute < 120; minute++) {
    total += minute;
    await record(total, 0, NOON + minute * MINUTE);
  }
  const sum = async (span: "day" | "month" | "year", now: number) => {
    const { points } = await readHistory(store.traffic, device.id, span, now);
    return points.reduce((sum, [, rx]) => sum + rx, 0);
  };
  const after = NOON + 120 * MINUTE;
  for (const span of ["day", "month", "year"] as const) equal(await sum(span, after), total, span);
  const later = after + 49 * 60 * MINUTE;
  await store.traffic.prune(later);
  deepEqual(await store.traffic.rows(device.id, "minute", 0), []);
  equal(await sum("month", later), total);
});

eachDatabase(
  "bytes that were counted while nothing was recorded are spread over that time",
  async (database) => {
    const { store, device, record, made } = await storeWithDevice(database);
    await using _made = made;
    await record(0, 0, NOON);
    await record(100, 0, NOON + MINUTE);
    const begun = NOON + MINUTE;
    const ended = begun + 100 * MINUTE;
    await record(100 + 10_000, 999, ended);
    await record(100 + 10_000 + 50, 999, ended + MINUTE);
    const points = async (span: "hour" | "day" | "month" | "year") =>
      (await readHistory(store.traffic, device.id, span, ended + MINUTE)).points;
    const hour = await points("hour");
    // The last two points are the minute in which the gap ended, of which none belongs to it, and a recorded one.
    equal(hour.at(-1)![1], 50);
    deepEqual(new Set(hour.slice(0, -2).map(([, rx]) => rx)), new Set([100]));
    const sent = hour.slice(0, -2).map(([, , tx]) => tx);
    ok(sent.every((tx) => tx === 9 || tx === 10 || tx === 11), sent.join());
    for (const span of ["day", "month", "year"] as const) {
      const all = await points(span);
      equal(all.reduce((sum, [, rx]) => sum + rx, 0), 10_150, span);
      equal(all.reduce((sum, [, , tx]) => sum + tx, 0), 999, span);
    }
    equal(Math.max(...(await points("day")).map(([, rx]) => rx)), 500);
    // Minutes are deleted after two days, and the gap stays.
    const later = ended + 49 * 60 * MINUTE;
    await store.traffic.prune(later);
    const { points: month } = await readHistory(store.traffic, device.id, "month", later);
    equal(month.reduce((sum, [, rx]) => sum + rx, 0), 10_150);
    const { rxBytes } = (await store.devices.find(device.id))!;
    equal(rxBytes, 10_150);
  },
);

eachDatabase("a device that was added while nothing was recorded has no traffic before", async (database) => {
  const { store, record, made } = await storeWithDevice(database);
  await using _made = made;
  await record(0, 0, NOON);
  const [network] = await store.networks.list();
  const publicKey = "9Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";
  const added = NOON + 60 * MINUTE;
  const { id } = await store.devices.add({ networkId: network!.id, name: "late", publicKey }, added);
  const now = added + 10 * MINUTE;
  const counted = { publicKey, endpoint: null, lastHandshakeAt: now, rxBytes: 1_000, txBytes: 0 };
  await store.traffic.record(network!.id, "here", [[counted]], now);
  const { points } = await readHistory(store.traffic, id, "hour", now);
  deepEqual(points.slice(-11).map(([, rx]) => rx), [...Array(10).fill(100), 0]);
  equal(points.reduce((sum, [, rx]) => sum + rx, 0), 1_000);
});

eachDatabase(
  "bytes that were counted before an interface was taken over belong to no minute",
  async (database) => {
    const { store, device, record, made } = await storeWithDevice(database);
    await using _made = made;
    const [network] = await store.networks.list();
    const before = {
      publicKey: KEY,
      endpoint: null,
      lastHandshakeAt: NOON - MINUTE,
      rxBytes: 5e9,
      txBytes: 7e9,
    };
    await store.traffic.adopt(network!.id, "here", [before]);
    const adopted = (await store.devices.find(device.id))!;
    deepEqual([adopted.rxBytes, adopted.txBytes, adopted.lastHandshakeAt], [5e9, 7e9, NOON - MINUTE]);
    for (const step of ["minute", "hour", "day"] as const) {
      deepEqual(await store.traffic.rows(device.id, step, 0), []);
    }
    await record(5e9 + 100, 7e9 + 1, NOON);
    deepEqual(await store.traffic.rows(device.id, "minute", 0), [{ time: NOON, rx: 100, tx: 1 }]);
    const after = (await store.devices.find(device.id))!;
    deepEqual([after.rxBytes, after.txBytes], [5e9 + 100, 7e9 + 1]);
  },
);

eachDatabase("traffic is not spread over the decades by which a clock was wrong", async (database) => {
  const { store, device, record, made } = await storeWithDevice(database);
  await using _made = made;
  const [network] = await store.networks.list();
  const counted = { publicKey: KEY, endpoint: null, lastHandshakeAt: 0, rxBytes: 900, txBytes: 0 };
  const gaps = async () =>
    (await store.traffic.gaps(device.id, 0)).map(({ began, ended, rx }) => [began, ended, rx]);
  await record(100, 0, NOON);
  await record(200, 0, NOON + MINUTE);
  // The machine starts, and its clock is set two minutes later.
  await record(300, 0, 2 * MINUTE);
  const set = NOON + 60 * MINUTE;
  await record(400, 0, set);
  deepEqual(await gaps(), [[NOON + MINUTE, set, 100]]);
  // The same in a process that has recorded before, and so knows how long ago that was.
  await record(500, 0, 4 * MINUTE);
  const later = set + 60 * MINUTE;
  await store.traffic.record(network!.id, "here", [[counted]], later, later - MINUTE);
  deepEqual(await gaps(), [[NOON + MINUTE, set, 100]]);
  deepEqual(await store.traffic.rows(device.id, "minute", later), [{ time: later, rx: 400, tx: 0 }]);
});

eachDatabase("traffic since a time that was never known belongs to the present minute", async (database) => {
  const { store, device, record, made } = await storeWithDevice(database);
  await using _made = made;
  await store.database.run("UPDATE networks SET created_at = 60000");
  await store.database.run("UPDATE devices SET created_at = 60000");
  await record(100, 0, 2 * MINUTE);
  await record(300, 0, NOON);
  deepEqual(await store.traffic.gaps(device.id, 0), []);
  deepEqual(await store.traffic.rows(device.id, "minute", NOON), [{ time: NOON, rx: 200, tx: 0 }]);
});

eachDatabase("a network's total does not shrink when a device is removed", async (database) => {
  const { store, device, record, made } = await storeWithDevice(database);
  await using _made = made;
  await record(100, 1_000, NOON);
  await store.devices.remove(device.id);
  const [summary] = await store.devices.summaries(NOON);
  deepEqual([summary!.rxBytes, summary!.txBytes, summary!.states.online], [100, 1_000, 0]);
});

eachDatabase("counters of a device that was removed meanwhile are skipped", async (database) => {
  const { store, device, record, made } = await storeWithDevice(database);
  await using _made = made;
  await store.devices.remove(device.id);
  await record(1, 1, NOON);
  deepEqual(await store.traffic.live([device.id], "here"), []);
});
