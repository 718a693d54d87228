/**
 * Many devices: a list has what a naive search finds, and SQLite's plans of the statements read no more rows than they
 * need.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Database, Queries, Row, Value } from "../../../core/web/store/database.ts";
import { Devices } from "../../../core/web/store/devices.ts";
import { ONLINE_FOR, stateOf } from "../../../core/web/store/device_state.ts";
import type { Device, DeviceQuery, DeviceState } from "../../../core/web/store/records.ts";
import { type Counted, Traffic } from "../../../core/web/store/traffic.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { fillStore } from "./crowd.ts";
import { eachDatabase } from "./databases.ts";
import { sqliteIn } from "./test_database.ts";
import { World } from "./world.ts";

const NOW = Date.UTC(2030, 0, 1);
const SORTS = ["name", "created", "handshake"] as const;
const STATES: readonly (DeviceState | undefined)[] = [
  undefined,
  "online",
  "idle",
  "never",
  "expired",
  "disabled",
];

/** A database that remembers what it was asked, with the plan of each statement. */
class Watched implements Queries {
  readonly statements: { sql: string; plan: string[] }[] = [];
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  async #watch(sql: string, values: readonly Value[]): Promise<void> {
    const plan = await this.#queries.all(`EXPLAIN QUERY PLAN ${sql}`, ...values);
    this.statements.push({ sql, plan: plan.map(({ detail }) => String(detail)) });
  }

  async all(sql: string, ...values: Value[]): Promise<Row[]> {
    await this.#watch(sql, values);
    return await this.#queries.all(sql, ...values);
  }

  async get(sql: string, ...values: Value[]): Promise<Row | undefined> {
    await this.#watch(sql, values);
    return await this.#queries.get(sql, ...values);
  }

  async run(sql: string, ...values: Value[]): Promise<number> {
    await this.#watch(sql, values);
    return await this.#queries.run(sql, ...values);
  }

  runMany(sql: string, rows: readonly (readonly Value[])[]): Promise<void> {
    return this.#queries.runMany(sql, rows);
  }

  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return this.#queries.transaction(async (queries) => {
      const watched = new Watched(queries);
      try {
        return await work(watched);
      } finally {
        this.statements.push(...watched.statements);
      }
    });
  }
}

/** Compares texts byte by byte, as the databases do. */
function compare(a: string | number, b: string | number): number {
  if (typeof a === "number") return a - Number(b);
  return Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(String(b))));
}

/** The list by a naive search through all devices. */
function plainly(all: readonly Device[], query: DeviceQuery): Device[] {
  const value = (device: Device) =>
    query.sort === "created"
      ? device.createdAt
      : query.sort === "handshake"
      ? device.lastHandshakeAt
      : device.name;
  const words = query.search?.toLowerCase().split(" ") ?? [];
  const text = ({ name, owner, publicKey, addresses }: Device) =>
    [name, owner?.name, publicKey, ...addresses].join("\n").toLowerCase();
  const found = all.filter((device) =>
    (query.networkId === undefined || device.network.id === query.networkId) &&
    (query.ownerId === undefined || device.owner?.id === query.ownerId) &&
    (query.state === undefined || stateOf(device, NOW) === query.state) &&
    words.every((word) => text(device).includes(word))
  );
  const sorted = found.sort((a, b) => compare(value(a), value(b)) || compare(a.id, b.id));
  return query.descending ? sorted.reverse() : sorted;
}

eachDatabase("the benchmark's devices fit the tables, in an existing network", async (database) => {
  await using world = await World.start(database);
  const { store } = world;
  await world.addNetwork("wg1", "10.64.0.1/14");
  const network = (await store.networks.find("wg1"))!;
  await fillStore(store, { devices: 100, users: 5 }, NOW, network);
  equal(await store.networks.countDevices(network.id), 100);
  // The stored `cut` equals the one that the store computes.
  deepEqual(await store.devices.takeCutChanges(NOW), []);
  equal((await store.devices.admitted(network.id, "")).length, 98);
  const { publicKeys: cut, last: lastKey } = await store.devices.cutOff(network.id, "");
  equal(cut.length, 2);
  deepEqual(await store.devices.cutOff(network.id, lastKey!), { publicKeys: [] });
  const [last] = (await store.devices.list({ networkId: network.id, search: "10.64.0.101" }, NOW)).items;
  deepEqual(last!.addresses, ["10.64.0.101"]);
  const more = { networkId: network.id, name: "new", publicKey: generateKeys().publicKey };
  const added = await store.devices.add(more, NOW);
  deepEqual(added.addresses, ["10.64.0.102"]);
});

eachDatabase("many devices: each list equals that of a naive search, page by page", async (database) => {
  await using store = await database.store();
  const networks = await fillStore(store, { devices: 2_600, users: 13 }, NOW);
  const [owner] = await store.users.list();
  const rows = await store.database.all("SELECT id FROM devices");
  const all = await Promise.all(rows.map(async ({ id }) => (await store.devices.find(String(id)))!));
  const narrow: DeviceQuery[] = [
    {},
    { networkId: networks[0]!.id },
    { networkId: networks[1]!.id },
    { ownerId: owner!.id },
    { search: "GERÄT" },
    { search: "device 99" },
    { search: "nowhere" },
    { search: "e", networkId: networks[1]!.id },
  ];
  for (const one of narrow) {
    for (const state of STATES) {
      for (const sort of SORTS) {
        const query: DeviceQuery = { ...one, sort, state, descending: sort === "handshake" };
        const expected = plainly(all, query).map(({ id }) => id);
        const first = await store.devices.list({ ...query, limit: 7 }, NOW);
        const found = first.items.map(({ id }) => id);
        equal(first.total, expected.length, JSON.stringify(query));
        if (first.next !== null) {
          const second = await store.devices.list({ ...query, limit: 900, cursor: first.next }, NOW);
          found.push(...second.items.map(({ id }) => id));
          equal(second.total, expected.length);
        }
        deepEqual(found, expected.slice(0, 907), JSON.stringify(query));
      }
    }
  }
});

/** Runs a test with a big SQLite database. */
function withCrowd(
  name: string,
  test: (database: Database, networkIds: string[]) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "wgd-many-" });
    try {
      await using store = await sqliteIn(folder).store();
      const networks = await fillStore(store, { devices: 5_000, users: 50 }, NOW);
      await test(store.database, networks.map(({ id }) => id));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

withCrowd(
  "many devices: a list uses indexes, counts in an index, and sorts only a few devices",
  async (database, ids) => {
    const owner = String((await database.get("SELECT id FROM users"))!.id);
    for (const one of [{}, { networkId: ids[0]! }, { networkId: ids[1]! }, { ownerId: owner }]) {
      for (const state of STATES) {
        for (const sort of SORTS) {
          const watched = new Watched(database);
          const query = { ...one, state, sort };
          const { next } = await new Devices(watched).list(query, NOW);
          if (next !== null) await new Devices(watched).list({ ...query, cursor: next }, NOW);
          for (const { sql, plan } of watched.statements) requireGoodPlan(sql, plan, JSON.stringify(query));
        }
      }
    }
  },
);

/** What a statement of the list may do. */
function requireGoodPlan(sql: string, plan: readonly string[], query: string): void {
  const shown = `${query}: ${sql}\n${plan.join("\n")}`;
  ok(!plan.some((line) => /^SCAN \w+$/.test(line)), `it looks at every row: ${shown}`);
  const ofDevices = plan.find((line) => /^(SCAN|SEARCH) (d|devices)\b/.test(line));
  if (sql.includes("count(*)")) {
    match(ofDevices!, /USING COVERING INDEX/, `a count looks into rows: ${shown}`);
  } else if (sql.includes("d.id IN")) {
    match(ofDevices!, /^SEARCH d USING INDEX sqlite_autoindex_devices_1 \(id=\?\)/, shown);
  } else if (sql.includes("ORDER BY d.")) {
    match(
      ofDevices!,
      /USING (COVERING )?INDEX devices_by_(name|creation|handshake)\b/,
      `not in order: ${shown}`,
    );
    ok(!plan.some((line) => line.includes("TEMP B-TREE")), `many are sorted: ${shown}`);
  } else if (sql.startsWith("SELECT d.id FROM")) {
    match(
      ofDevices!,
      /^SEARCH d USING (COVERING )?INDEX devices_by_(user|state)\b|_devices_2 \(network_id=/,
      shown,
    );
  }
}

withCrowd(
  "many devices: a search reads each row once, in the order of the file",
  async (database, [wg0]) => {
    for (const more of [{}, { networkId: wg0! }, { state: "idle" as const }]) {
      const watched = new Watched(database);
      await new Devices(watched).list({ search: "nowhere", ...more }, NOW);
      deepEqual(watched.statements.map(({ plan }) => plan), [["SCAN d"]]);
    }
  },
);

withCrowd("many devices: the totals of networks are counted in an index", async (database) => {
  const watched = new Watched(database);
  await new Devices(watched).summaries(NOW);
  const lines = watched.statements.flatMap(({ plan }) => plan).filter((line) => / d\b/.test(line));
  equal(lines.length, 5);
  for (const line of lines) match(line, /^SEARCH d USING COVERING INDEX /);
});

withCrowd(
  "many devices: only what has changed is compared",
  async (database) => {
    // All devices of some users are disabled.
    const owned = "SELECT user_id AS id FROM devices WHERE cut IS NULL AND user_id IS NOT NULL";
    const owner = String((await database.get(owned))!.id);
    const others = "SELECT id FROM devices WHERE cut IS NULL AND user_id IS DISTINCT FROM ?";
    const device = String((await database.get(others, owner))!.id);
    await database.run("UPDATE users SET expires_at = ? WHERE id <> ?", NOW, owner);
    await database.run("UPDATE devices SET expires_at = ? WHERE id = ?", NOW + 5, device);
    await database.run("UPDATE users SET expires_at = ? WHERE id = ?", NOW + 7, owner);
    const watched = new Watched(database);
    const devices = new Devices(watched);
    equal(await devices.nextExpiry(NOW), NOW + 5);
    const reasons = async (now: number, changed: Parameters<Devices["takeCutChanges"]>[1]) => {
      const found = await devices.takeCutChanges(now, changed);
      return [...Map.groupBy(found, ({ cut }) => cut)].map(([cut, all]) => [cut, all.length]);
    };
    deepEqual(await reasons(NOW, {}), []);
    deepEqual(await reasons(NOW + 5, { since: NOW }), [["expired", 1]]);
    deepEqual(await reasons(NOW + 5, { devices: [device] }), []);
    deepEqual(await reasons(NOW + 7, { users: [owner] }), [["user-expired", 50]]);
    deepEqual(await reasons(NOW + 7, { since: NOW + 5 }), []);
    for (const { sql, plan } of watched.statements) {
      ok(!plan.some((line) => /^SCAN [du]\b/.test(line)), `${sql}\n${plan.join("\n")}`);
    }
    // Nothing said so, but these users had expired all the time.
    const cut = await reasons(NOW + 7, "anything");
    equal(cut.length, 1);
    equal(cut[0]![0], "user-expired");
    ok(Number(cut[0]![1]) > 2_000);
    for (const { sql, plan } of watched.statements) {
      ok(
        !plan.some((line) => /^SCAN d\b/.test(line)),
        `the statement reads all devices at once: ${sql}\n${plan.join("\n")}`,
      );
    }
  },
);

withCrowd("many devices: lists of any length need a dozen statements", async (database, [networkId]) => {
  const watched = new Watched(database);
  const traffic = new Traffic(watched);
  const keys = await database.all("SELECT id, public_key FROM devices LIMIT 1000");
  const counted = keys.map(({ public_key }): Counted => ({
    publicKey: String(public_key),
    endpoint: null,
    lastHandshakeAt: NOW - ONLINE_FOR,
    rxBytes: 1,
    txBytes: 1,
  }));
  for (let length = 1; length <= 1_000; length += 37) {
    await traffic.record(networkId!, "here", [counted.slice(0, length)], NOW);
    const rows = await traffic.live(keys.slice(0, length).map(({ id }) => String(id)), "here");
    equal(rows.length, length);
  }
  const reads = new Set(watched.statements.map(({ sql }) => sql).filter((sql) => sql.includes(" IN (")));
  ok(reads.size <= 2 * 11, `${reads.size} statements`);
});
