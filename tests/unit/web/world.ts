/**
 * A whole `wgd web` in this process: its API and its store on disk, a clock that the test moves, and a keeper that holds
 * its peers in memory.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { type App, createApp } from "../../../core/web/app.ts";
import { readBackup } from "../../../core/web/backup.ts";
import type { Context } from "../../../core/web/context.ts";
import { interfacesOf, Settling } from "../../../core/web/interfaces.ts";
import type { KeeperClient } from "../../../core/web/keeper/client.ts";
import { KeeperError, type KeptPeer, type Verb, type Verbs } from "../../../core/web/keeper/verbs.ts";
import { Sampler } from "../../../core/web/live/sampler.ts";
import { Peers } from "../../../core/web/peers.ts";
import { type Costs, Passwords } from "../../../core/web/sign_in/passwords.ts";
import { Seal } from "../../../core/web/sign_in/seal.ts";
import { SignIn } from "../../../core/web/sign_in/sign_in.ts";
import type { Store } from "../../../core/web/store/store.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { sqliteIn, type TestDatabase } from "./test_database.ts";

/** The server as browsers call it. */
export const ORIGIN = "https://vpn.example.org";
/** The administrator that each world has. */
export const ADMIN = { name: "root", password: "the administrator's own" } as const;

/** The cheapest hashes that RFC 9106 allows. `passwords_test.ts` checks those of the server. */
const CHEAP: Costs = { memory: 8, passes: 1, lanes: 1 };

/** A page of one word. */
const PAGE = { "/": { type: "text/html; charset=utf-8", gzip: gzipSync("page").toString("base64") } };

/** A keeper whose interfaces are sets of public keys. */
export class MemoryKeeper implements KeeperClient {
  /** Public keys of peers, by interface. */
  readonly interfaces = new Map<string, Set<string>>();
  /** It answers nothing while this is true. */
  away = false;
  /** It answers nothing any more after the next request of this kind. */
  awayAfter: Verb | undefined;
  /** It refuses the next request of each of these verbs. */
  readonly refuses = new Set<Verb>();
  /** Networks to which there can be no route, with the reason. */
  readonly unroutable = new Map<string, string>();
  /** The system's routes, by interface. */
  readonly routes = new Map<string, readonly string[]>();
  /** Addresses of peers and the networks behind them, by interface and public key. */
  readonly addresses = new Map<string, readonly string[]>();
  /** For each attempt to set the peers of an interface: those that existed at the beginning and were not named since. */
  readonly #attempts = new Map<number, { name: string; unnamed: Set<string> }>();
  #lastAttempt = 0;
  /** Interfaces that it cannot change. */
  readonly broken = new Set<string>();

  // deno-lint-ignore require-await -- it throws as a promise does
  async ask<V extends Verb>(verb: V, takes: Verbs[V]["takes"]): Promise<Verbs[V]["gives"]> {
    if (this.away) throw new KeeperError("the keeper is away");
    if (verb === this.awayAfter) {
      this.away = true;
      this.awayAfter = undefined;
    }
    const { interface: name = "", attempt = 0, peers = [], publicKeys = [] } = takes as {
      interface?: string;
      attempt?: number;
      peers?: KeptPeer[];
      publicKeys?: string[];
    };
    if (this.refuses.delete(verb)) throw new KeeperError(`the keeper refuses ${verb}`);
    if (this.broken.has(name)) throw new KeeperError(`${name} cannot be changed`);
    const kept = this.interfaces.get(name) ?? new Set();
    this.interfaces.set(name, kept);
    if (verb === "beginPeers") {
      this.#attempts.set(++this.#lastAttempt, { name, unnamed: new Set(kept) });
      return this.#lastAttempt as Verbs[V]["gives"];
    }
    const unnamed = this.#attempts.get(attempt)?.unnamed ?? new Set();
    if (attempt !== 0) ok(this.#attempts.get(attempt)?.name === name, `no attempt ${attempt} at ${name}`);
    if (verb === "endPeers") {
      for (const publicKey of unnamed) kept.delete(publicKey);
      this.#attempts.delete(attempt);
    }
    if (verb === "cutPeers") { for (const key of publicKeys) if (unnamed.has(key)) kept.delete(key); }
    if (verb === "removePeers") { for (const publicKey of publicKeys) kept.delete(publicKey); }
    for (const { publicKey, addresses, networks = [] } of peers) {
      kept.add(publicKey);
      this.addresses.set(`${name} ${publicKey}`, [...addresses, ...networks]);
    }
    if (verb === "setRoutes") {
      const { networks } = takes as Verbs["setRoutes"]["takes"];
      this.routes.set(name, networks.filter((network) => !this.unroutable.has(network)));
      return networks.flatMap((network) => {
        const cause = this.unroutable.get(network);
        return cause === undefined ? [] : [{ network, cause }];
      }) as unknown as Verbs[V]["gives"];
    }
    if (["keepPeers", "addPeers", "removePeers"].includes(verb)) {
      const named = [...publicKeys, ...peers.map(({ publicKey }) => publicKey)];
      for (const one of this.#attempts.values()) {
        if (one.name === name) { for (const key of named) one.unnamed.delete(key); }
      }
    }
    if (verb === "makeNetwork") return { publicKey: generateKeys().publicKey } as Verbs[V]["gives"];
    if (verb === "unsettled") return [] as unknown as Verbs[V]["gives"];
    return (verb === "presharedKey" ? "" : verb === "counters" ? { peers: [], rest: null } : null) as Verbs[
      V
    ]["gives"];
  }
}

/** What an answer says. */
export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- tests read what they expect
  readonly body: any;
  readonly headers: Headers;
}

/** A server with one administrator and one network, wg0. */
export class World implements AsyncDisposable {
  /** Milliseconds since 1970. */
  now = Date.UTC(2030, 0, 1);
  readonly log: string[] = [];
  readonly keeper = new MemoryKeeper();
  context!: Context;
  app!: App;
  readonly #stack = new AsyncDisposableStack();

  private constructor(readonly folder: string, readonly database: TestDatabase) {
    this.#stack.defer(() => Deno.remove(folder, { recursive: true }));
  }

  /** Makes one. @param database In place of a file of its own. */
  static async start(database?: TestDatabase): Promise<World> {
    const folder = await Deno.makeTempDir({ prefix: "wgd-web-" });
    const world = new World(folder, database ?? sqliteIn(folder));
    try {
      await Deno.mkdir(`${folder}/web`);
      world.context = await world.#serve();
      world.app = createApp(world.context);
      await world.addNetwork("wg0", "10.8.0.1/24");
      const passwordHash = await world.signIn.passwords.hash(ADMIN.password);
      await world.store.users.add({ name: ADMIN.name, role: "admin", passwordHash }, world.now);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  get store(): Store {
    return this.context.store;
  }

  get peers(): Peers {
    return this.context.peers;
  }

  get signIn(): SignIn {
    return this.context.signIn;
  }

  /** Another process with the same database and the same keeper. @returns What answers its requests. */
  async beside(): Promise<App> {
    return createApp(await this.#serve());
  }

  async #serve(): Promise<Context> {
    const { folder, keeper } = this;
    const store = this.#stack.use(await this.database.store());
    const clock = () => this.now;
    const log = (text: string) => void this.log.push(text);
    const peers = this.#stack.use(new Peers(store, keeper, clock, log));
    const settling = this.#stack.use(new Settling(store, interfacesOf(keeper), log));
    const seal = await Seal.open(folder);
    const signIn = this.#stack.use(new SignIn({ store, peers, clock, log, seal }, new Passwords(CHEAP)));
    const sampler = this.#stack.use(new Sampler({ store, keeper, clock, log }));
    const backup = () => readBackup(store.database, folder);
    return { store, keeper, peers, settling, sampler, signIn, page: PAGE, backup, clock, log };
  }

  /** Adds a network to the store. */
  async addNetwork(name: string, address: string): Promise<string> {
    const { id } = await this.store.networks.add({
      name,
      interface: name,
      addresses: [address],
      endpoint: "192.0.2.1:51820",
      dns: [],
      allowedIps: ["10.8.0.0/24"],
      mtu: null,
      keepalive: null,
      publicKey: generateKeys().publicKey,
      listenPort: 51_820,
    }, this.now);
    return id;
  }

  /** A browser without a session. */
  browser(address = "192.0.2.10"): Browser {
    return new Browser(this.app, address);
  }

  /** A browser in which somebody has signed in. */
  async signedIn(
    name: string = ADMIN.name,
    password: string = ADMIN.password,
    address: string = "192.0.2.10",
  ): Promise<Browser> {
    const browser = this.browser(address);
    const { status, body } = await browser.post("/sign-in", { name, password });
    ok(status === 200, JSON.stringify(body));
    return browser;
  }

  /** Adds a user with a password, and a group that gives the network wg0. @returns The user's identifier. */
  async addUser(admin: Browser, name: string, more: Record<string, unknown> = {}): Promise<string> {
    const groups = (await admin.get("/groups")).body as { id: string; name: string }[];
    const staff = groups.find(({ name }) => name === "staff") ??
      (await admin.post("/groups", { name: "staff", networks: ["wg0"] })).body;
    const added = await admin.post("/users", {
      name,
      password: `${name}'s own words`,
      groups: [staff.id],
      ...more,
    });
    ok(added.status === 201, JSON.stringify(added.body));
    return added.body.id;
  }

  /** All that the database holds, as bytes are in it. */
  async stored(): Promise<string> {
    const path = `${this.folder}/stored.db`;
    await this.store.database.copyTo(path);
    return new TextDecoder("latin1").decode(await Deno.readFile(path));
  }

  /** Whether an interface has a peer. */
  hasPeer(publicKey: string, name = "wg0"): boolean {
    return this.keeper.interfaces.get(name)?.has(publicKey) ?? false;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** A browser: it keeps cookies, and says where its requests come from. */
export class Browser {
  cookies = new Map<string, string>();
  /** Headers of every request. */
  headers: Record<string, string> = { origin: ORIGIN, "sec-fetch-site": "same-origin" };
  readonly #app: App;

  constructor(app: App, readonly address: string) {
    this.#app = app;
  }

  /** The same browser, with its session, at another process. */
  at(app: App): Browser {
    const browser = new Browser(app, this.address);
    browser.cookies = this.cookies;
    return browser;
  }

  get(path: string): Promise<Answer> {
    return this.call("GET", path);
  }

  post(path: string, body: unknown = {}): Promise<Answer> {
    return this.call("POST", path, body);
  }

  patch(path: string, body: unknown): Promise<Answer> {
    return this.call("PATCH", path, body);
  }

  delete(path: string, body?: unknown): Promise<Answer> {
    return this.call("DELETE", path, body);
  }

  /** Calls the API. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    return await this.open(`/api/v1${path}`, method, body);
  }

  /** Sends any request. */
  async open(path: string, method: string, body?: unknown): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const request = new Request(ORIGIN + path, {
      method,
      headers: {
        ...this.headers,
        ...(cookie !== "" && { cookie }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const info = { address: this.address, secure: true, host: "vpn.example.org" };
    const response = await this.#app.fetch(request, info);
    for (const header of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(header)!;
      if (value === "") this.cookies.delete(name!);
      else this.cookies.set(name!, value!);
    }
    const text = await response.text();
    const json = response.headers.get("content-type")?.includes("json");
    return { status: response.status, body: json ? JSON.parse(text) : text, headers: response.headers };
  }
}
