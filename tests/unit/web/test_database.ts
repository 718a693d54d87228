/**
 * A database for a test, of any kind.
 *
 * @module
 */

import type { Database } from "../../../core/web/store/database.ts";
import { openSqlite } from "../../../core/web/store/sqlite.ts";
import { Store } from "../../../core/web/store/store.ts";

/** A database that is empty at first. */
export class TestDatabase {
  /** @param open Opens it, as one of several processes would. */
  constructor(readonly open: () => Promise<Database>) {}

  /** Opens it as a store. */
  readonly store = async (): Promise<Store> => await Store.open(await this.open());
}

/** A file in a folder. */
export function sqliteIn(folder: string): TestDatabase {
  return new TestDatabase(() => Promise.try(openSqlite, `${folder}/wgd.db`));
}
