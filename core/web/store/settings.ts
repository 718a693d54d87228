/**
 * Settings in the store: texts by their keys.
 *
 * @module
 */

import type { Queries } from "./database.ts";

/** The default for the maximum number of a user's devices. */
const MAX_DEVICES = 5;

/** Settings in the store. */
export class Settings {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** The value of a key. */
  async get(key: string): Promise<string | undefined> {
    const row = await this.#queries.get("SELECT value FROM settings WHERE key = ?", key);
    return row && String(row.value);
  }

  /** The maximum number of devices that a user may add. */
  async maxDevices(): Promise<number> {
    return Number(await this.get("maxDevices") ?? MAX_DEVICES);
  }

  /** Sets a key. */
  async set(key: string, value: string): Promise<void> {
    await this.#queries.run(
      "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }

  /**
   * Removes a key if it has a value.
   *
   * @returns Whether it had the value. Of two concurrent calls, only one returns true.
   */
  async removeIf(key: string, value: string): Promise<boolean> {
    return await this.#queries.run("DELETE FROM settings WHERE key = ? AND value = ?", key, value) > 0;
  }
}
