/**
 * The database of the store: its tables as they grow.
 *
 * @module
 */

import { deepEqual, equal, rejects } from "node:assert/strict";
import type { Database } from "../../../core/web/store/database.ts";
import { migrate, SchemaError, STEPS } from "../../../core/web/store/schema.ts";
import { openSqlite } from "../../../core/web/store/sqlite.ts";

/** Every column of every table. */
function columns(database: Database) {
  return database.all(
    `SELECT t.name AS "table", c.name, c.type, c."notnull", c.pk FROM sqlite_master t, pragma_table_info(t.name) c
      WHERE t.type = 'table' ORDER BY t.name, c.name`,
  );
}

Deno.test("store: tables of each earlier step get the later ones, and keep what they have", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wgd-store-" });
  try {
    await using fresh = openSqlite(`${folder}/fresh.db`);
    await migrate(fresh);
    for (let seen = 1; seen < STEPS.length; seen++) {
      await using database = openSqlite(`${folder}/${seen}.db`);
      await migrate(database, STEPS.slice(0, seen));
      await database.run("INSERT INTO settings (key, value) VALUES ('maxDevices', '7')");
      await migrate(database);
      await migrate(database);
      deepEqual(await columns(database), await columns(fresh));
      equal((await database.get("SELECT value FROM settings"))!.value, "7");
    }
    await rejects(migrate(fresh, STEPS.slice(0, 1)), SchemaError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
