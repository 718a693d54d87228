/**
 * Tests that run once with each kind of database.
 *
 * @module
 */

import { openPostgres } from "../../../core/web/store/postgres.ts";
import { parsePostgresAddress } from "../../../core/web/store/postgres_address.ts";
import { whyNoPeer } from "../../netns/peers/mod.ts";
import { testUnless } from "../../skip.ts";
import { PostgresServer } from "./postgres_server.ts";
import { sqliteIn, TestDatabase } from "./test_database.ts";

const noPostgres = await whyNoPeer("postgresql");

/** The server of this test file, once a test has asked for it. */
let server: Promise<PostgresServer> | undefined;

Deno.test.afterAll(async () => {
  await (await server)?.[Symbol.asyncDispose]();
  server = undefined;
});

/** Declares a test for each kind of database. */
export function eachDatabase(name: string, test: (database: TestDatabase) => Promise<void>): void {
  Deno.test(`${name} (SQLite)`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "wgd-store-" });
    try {
      await test(sqliteIn(folder));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
  testUnless(`${name} (PostgreSQL)`, noPostgres, async () => {
    const address = parsePostgresAddress(await (await startedServer()).createDatabase());
    await test(new TestDatabase(() => openPostgres(address)));
  });
}

/** The server of this test file. */
export function startedServer(): Promise<PostgresServer> {
  return server ??= PostgresServer.start();
}
