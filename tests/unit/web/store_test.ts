/**
 * The database of the store: its tables as they grow, and what its transactions promise.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Database, Row } from "../../../core/web/store/database.ts";
import { migrate, SchemaError, STEPS } from "../../../core/web/store/schema.ts";
import { copyRows, rowsOf, tablesOf } from "../../../core/web/store/copy.ts";
import { DatabaseError } from "../../../core/web/store/errors.ts";
import type { Device } from "../../../core/web/store/records.ts";
import { openSqlite } from "../../../core/web/store/sqlite.ts";
import { Store } from "../../../core/web/store/store.ts";
import { eachDatabase } from "./databases.ts";

const NOW = Date.UTC(2030, 0, 1);

/** Names of all tables, in the order in which they were made. */
const TABLES = {
  sqlite: "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid",
  postgres:
    `SELECT c.relname AS name FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    ORDER BY c.oid`,
} as const;

/** Every column of every table. */
function columns(database: Database): Promise<Row[]> {
  return database.all(
    database.dialect === "sqlite"
      ? `SELECT t.name AS "table", c.name, c.type, c."notnull", c.pk FROM sqlite_master t, pragma_table_info(t.name) c
        WHERE t.type = 'table' ORDER BY t.name, c.name`
      : `SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY table_name, column_name`,
  );
}

/** Undoes all that a migration has made. */
async function empty(database: Database): Promise<void> {
  const tables = await database.all(TABLES[database.dialect]);
  for (const { name } of tables.reverse()) {
    await database.run(`DROP TABLE ${name}${database.dialect === "sqlite" ? "" : " CASCADE"}`);
  }
}

eachDatabase(
  "store: a database of each earlier version is upgraded, and keeps its data",
  async ({ open }) => {
    await using database = await open();
    await migrate(database);
    const all = await columns(database);
    await rejects(migrate(database, STEPS.slice(0, 1)), SchemaError);
    for (let seen = 1; seen < STEPS.length; seen++) {
      await empty(database);
      deepEqual(await columns(database), []);
      await migrate(database, STEPS.slice(0, seen));
      await database.run("INSERT INTO settings (key, value) VALUES ('maxDevices', '7')");
      await migrate(database);
      await migrate(database);
      deepEqual(await columns(database), all);
      equal((await database.get("SELECT value FROM settings"))!.value, "7");
    }
  },
);

eachDatabase(
  "store: processes that open a new database at the same time all find its tables",
  async ({ store }) => {
    const stores = await Promise.all(Array.from({ length: 8 }, store));
    for (const one of stores) {
      equal(await one.settings.maxDevices(), 5);
      await one[Symbol.asyncDispose]();
    }
  },
);

eachDatabase(
  "transaction: all of it or nothing, and others see nothing before its end",
  async ({ store }) => {
    await using one = await store();
    await using other = await store();
    await rejects(
      one.transaction(async ({ settings }) => {
        await settings.set("a", "1");
        equal(await settings.get("a"), "1");
        equal(await one.settings.get("a"), undefined);
        equal(await other.settings.get("a"), undefined);
        throw new RangeError("no");
      }),
      RangeError,
    );
    equal(await one.settings.get("a"), undefined);
    await one.transaction(({ settings }) => settings.set("a", "2"));
    equal(await other.settings.get("a"), "2");
  },
);

eachDatabase("transaction: a part that fails is undone without the rest", async ({ store }) => {
  await using one = await store();
  await one.transaction(async (records) => {
    await records.settings.set("before", "1");
    await rejects(
      records.transaction(async ({ settings }) => {
        await settings.set("before", "2");
        await settings.set("within", "1");
        throw new RangeError("no");
      }),
      RangeError,
    );
    await rejects(
      records.transaction(async (inner) => {
        await inner.settings.set("within", "2");
        // Fails in the database.
        await inner.identities.link("nobody", { kind: "ldap", providerId: "p", subject: "s", name: null });
      }),
    );
    await records.transaction(({ settings }) => settings.set("after", "1"));
  });
  const settings = await Promise.all(["before", "within", "after"].map((key) => one.settings.get(key)));
  deepEqual(settings, ["1", undefined, "1"]);
});

eachDatabase(
  "transaction: values that were read do not change until its end, for every process",
  async ({ store }) => {
    const stores = await Promise.all(Array.from({ length: 4 }, store));
    await stores[0]!.settings.set("count", "0");
    await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        stores[at % stores.length]!.transaction(async ({ settings }) => {
          const count = Number(await settings.get("count"));
          await settings.set("count", `${count + 1}`);
        })),
    );
    equal(await stores[0]!.settings.get("count"), "200");
    for (const one of stores) await one[Symbol.asyncDispose]();
  },
);

Deno.test("a full disk is an error with a hint, changes nothing in part, and is over when there is space", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wgd-store-" });
  try {
    await using store = await Store.open(openSqlite(`${folder}/wgd.db`));
    const network = await store.networks.add({
      ...{ name: "wg0", interface: "wg0", addresses: ["10.8.0.1/16"], endpoint: "192.0.2.1:51820", dns: [] },
      ...{ allowedIps: [], mtu: null, keepalive: null, publicKey: "key", listenPort: 51_820 },
    }, NOW);
    const add = (at: number) =>
      store.devices.add({ networkId: network.id, name: "d".repeat(60), publicKey: `key ${at}` }, NOW);
    // SQLite then treats each further page as a full disk does.
    await store.database.run("PRAGMA max_page_count = 1");
    let added = 0;
    await rejects(async () => {
      for (; added < 1_000; added++) await add(added);
    }, (error) => error instanceof DatabaseError && /cannot be written: .* full/.test(error.message));
    const counts = () =>
      store.database.get(
        "SELECT (SELECT count(*) FROM devices) AS devices, (SELECT count(*) FROM addresses) AS ips",
      );
    deepEqual({ ...await counts() }, { devices: added, ips: added + 1 });
    await store.database.run("PRAGMA max_page_count = 1000000");
    await add(added);
    deepEqual({ ...await counts() }, { devices: added + 1, ips: added + 2 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

eachDatabase(
  "copyRows(): every row is copied, also an entry of the audit log with any number",
  async ({ store }) => {
    const folder = await Deno.makeTempDir({ prefix: "wgd-store-" });
    try {
      await using from = await Store.open(openSqlite(`${folder}/wgd.db`));
      const numbers = ["-9223372036854775808", "-3", "0", "1", "9007199254740993", "9223372036854775807"];
      for (const number of numbers) {
        await from.database.run(
          `INSERT INTO events (number, time, actor, action, detail, previous_hash, hash)
          VALUES (${number}, 1, 'a', 'b', '{}', '', '')`,
        );
      }
      await using to = await store();
      await copyRows(await tablesOf(from.database), rowsOf(from.database), to.database);
      const rows = await to.database.all(
        "SELECT CAST(number AS TEXT) AS number FROM events ORDER BY events.number",
      );
      deepEqual(rows.map(({ number }) => number), numbers);
      // And back, as a backup does.
      await to.database.copyTo(`${folder}/copy.db`);
      await using back = await Store.open(openSqlite(`${folder}/copy.db`));
      const copied = await back.database.all(
        "SELECT CAST(number AS TEXT) AS number FROM events ORDER BY events.number",
      );
      deepEqual(copied.map(({ number }) => number), numbers);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

eachDatabase("copyTo(): the copy is an SQLite database with every row", async ({ store }) => {
  await using one = await store();
  const network = await one.networks.add({
    name: "wg0",
    interface: "wg0",
    addresses: ["10.8.0.1/16"],
    endpoint: "192.0.2.1:51820",
    dns: [],
    allowedIps: ["10.8.0.0/16"],
    mtu: null,
    keepalive: 25,
    publicKey: "key",
    listenPort: 51_820,
  }, NOW);
  const user = await one.users.add({ name: "anna\0ä", role: "admin", passwordHash: "hash" }, NOW);
  const group = await one.groups.add({ name: "g", role: "user", networkIds: [network.id] }, undefined, NOW);
  await one.groups.setOfUser(user.id, "local", [group.id]);
  const added: Device[] = [];
  for (let at = 0; at < 3; at++) {
    added.push(
      await one.devices.add({
        networkId: network.id,
        ownerId: user.id,
        name: `device ${at}`,
        publicKey: `key ${at}`,
      }, NOW),
    );
  }
  // More than are copied at once.
  const minutes = Array.from(
    { length: 2_500 },
    (_, at) => [added[0]!.id, NOW + at * 60_000, at, 2 ** 52 + at],
  );
  await one.database.runMany(
    "INSERT INTO traffic_minute (device_id, time, rx, tx) VALUES (?, ?, ?, ?)",
    minutes,
  );
  await one.events.add({ actor: "system", action: "test", target: null, address: null, detail: {} }, NOW);
  await one.sessions.begin(user.id, {}, NOW, NOW + 1);
  const folder = await Deno.makeTempDir({ prefix: "wgd-copy-" });
  try {
    await one.database.copyTo(`${folder}/copy.db`);
    await using copy = await Store.open(openSqlite(`${folder}/copy.db`));
    const tables = (await copy.database.all(TABLES.sqlite)).map(({ name }) => `${name}`);
    ok(tables.length > 15);
    for (const table of tables) {
      const rows = async ({ database }: Store) =>
        (await database.all(`SELECT * FROM ${table}`)).map((row) =>
          JSON.stringify(Object.entries(row).sort())
        );
      deepEqual((await rows(copy)).sort(), (await rows(one)).sort(), table);
    }
    equal((await copy.database.all("SELECT * FROM traffic_minute")).length, 2_500);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
