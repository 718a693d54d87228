/**
 * All that `wgd web` remembers.
 *
 * @module
 */

import type { Database } from "./database.ts";
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

/** The store. Its parts say what they keep. */
export class Store implements AsyncDisposable {
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

  private constructor(readonly database: Database) {
    this.networks = new Networks(database);
    this.devices = new Devices(database);
    this.users = new Users(database);
    this.identities = new Identities(database);
    this.groups = new Groups(database);
    this.providers = new Providers(database);
    this.invites = new Invites(database);
    this.sessions = new Sessions(database);
    this.tokens = new Tokens(database);
    this.traffic = new Traffic(database);
    this.events = new Events(database);
    this.settings = new Settings(database);
  }

  /**
   * Takes a database into use, and brings its tables up to date.
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
