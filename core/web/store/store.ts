/**
 * The store of `wgd web`.
 *
 * @module
 */

import type { Database, Queries } from "./database.ts";
import { Devices } from "./devices.ts";
import { Events } from "./events.ts";
import { Groups } from "./groups.ts";
import { Identities } from "./identities.ts";
import { Invites } from "./invites.ts";
import { Networks } from "./networks.ts";
import { Providers } from "./providers.ts";
import { migrate } from "./schema.ts";
import { Sessions } from "./sessions.ts";
import { Settings } from "./settings.ts";
import { Tokens } from "./tokens.ts";
import { Traffic } from "./traffic.ts";
import { Users } from "./users.ts";

export type { Database } from "./database.ts";

/** The parts of the store. */
export class Records {
  readonly networks: Networks;
  readonly devices: Devices;
  readonly users: Users;
  readonly identities: Identities;
  readonly groups: Groups;
  readonly providers: Providers;
  readonly invites: Invites;
  readonly sessions: Sessions;
  readonly tokens: Tokens;
  readonly traffic: Traffic;
  readonly events: Events;
  readonly settings: Settings;
  readonly #queries: Queries;

  /** @param queries The queries of a database or of a transaction. */
  constructor(queries: Queries) {
    this.#queries = queries;
    this.networks = new Networks(queries);
    this.devices = new Devices(queries);
    this.users = new Users(queries);
    this.identities = new Identities(queries);
    this.groups = new Groups(queries);
    this.providers = new Providers(queries);
    this.invites = new Invites(queries);
    this.sessions = new Sessions(queries);
    this.tokens = new Tokens(queries);
    this.traffic = new Traffic(queries);
    this.events = new Events(queries);
    this.settings = new Settings(queries);
  }

  /**
   * Runs a transaction: all of it or nothing is done, and nothing else is changed meanwhile.
   *
   * @param work Must use only the records that it receives.
   */
  transaction<T>(work: (records: Records) => Promise<T>): Promise<T> {
    return this.#queries.transaction((queries) => work(new Records(queries)));
  }
}

/** The store: records in a database. */
export class Store extends Records implements AsyncDisposable {
  private constructor(readonly database: Database) {
    super(database);
  }

  /**
   * Uses a database, and migrates its tables.
   *
   * @throws {SchemaError} If a newer wgd has used it.
   */
  static async open(database: Database): Promise<Store> {
    try {
      await migrate(database);
      return new Store(database);
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Closes the database. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
  }
}
