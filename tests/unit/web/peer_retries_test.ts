/**
 * A comparison of interfaces with the store ends tunnels first, and a retry compares only what has failed.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type KeeperClient, KeeperConnection } from "../../../core/web/keeper/client.ts";
import type { Keeper } from "../../../core/web/keeper/keeper.ts";
import { serveKeeper } from "../../../core/web/keeper/server.ts";
import type { Verb, Verbs } from "../../../core/web/keeper/verbs.ts";
import { Sampler } from "../../../core/web/live/sampler.ts";
import { Peers } from "../../../core/web/peers.ts";
import { Retries } from "../../../core/web/retries.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eachDatabase } from "./databases.ts";
import type { TestDatabase } from "./test_database.ts";
import { World } from "./world.ts";

/** Holds long timers until the test lets one end. */
class HeldTimers implements Disposable {
  readonly #held: { delay: number; work: () => void; id: number }[] = [];
  readonly #setTimeout = globalThis.setTimeout;
  readonly #clearTimeout = globalThis.clearTimeout;
  #last = 1e9;

  constructor() {
    globalThis.setTimeout = ((work: () => void, delay = 0) => {
      if (delay < 1_000) return this.#setTimeout(work, delay);
      this.#held.push({ delay, work, id: ++this.#last });
      return this.#last;
    }) as typeof setTimeout;
    globalThis.clearTimeout = (id) => {
      const found = this.#held.findIndex((one) => one.id === Number(id));
      if (found >= 0) this.#held.splice(found, 1);
      else this.#clearTimeout(id);
    };
  }

  get delays(): number[] {
    return this.#held.map(({ delay }) => delay);
  }

  /** Ends the first one of this length. */
  end(delay: number): void {
    const found = this.#held.findIndex((one) => one.delay === delay);
    ok(found >= 0, `no timer of ${delay} ms, but of ${this.delays.join(", ")}`);
    this.#held.splice(found, 1)[0]!.work();
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#setTimeout;
    globalThis.clearTimeout = this.#clearTimeout;
  }
}

/** A keeper that notes its requests, and lets the test see the moment before each. */
class NotedKeeper implements KeeperClient {
  readonly asked: string[] = [];

  constructor(readonly keeper: KeeperClient, readonly before: (verb: Verb) => void = () => {}) {}

  async ask<V extends Verb>(verb: V, takes: Verbs[V]["takes"]): Promise<Verbs[V]["gives"]> {
    this.asked.push(`${verb} ${(takes as { interface?: string }).interface}`);
    this.before(verb);
    return await this.keeper.ask(verb, takes);
  }
}

async function add({ store, now }: World, network: string): Promise<{ id: string; publicKey: string }> {
  const { id: networkId } = (await store.networks.find(network))!;
  return await store.devices.add({ networkId, name: "phone", publicKey: generateKeys().publicKey }, now);
}

/** A server with a device in wg1, and what its peers ask the keeper. Long timers end when the test says so. */
class Scene implements AsyncDisposable {
  private constructor(
    readonly world: World,
    readonly device: { id: string; publicKey: string },
    readonly keeper: NotedKeeper,
    readonly timers: HeldTimers,
    readonly peers: Peers,
  ) {}

  static async start(database: TestDatabase): Promise<Scene> {
    const world = await World.start(database);
    await world.addNetwork("wg1", "10.9.0.1/24");
    const device = await add(world, "wg1");
    const keeper = new NotedKeeper(world.keeper);
    const timers = new HeldTimers();
    return new Scene(
      world,
      device,
      keeper,
      timers,
      new Peers(world.store, keeper, () => world.now, () => {}),
    );
  }

  /** Whether the device is a peer of wg1. */
  get isPeer(): boolean {
    return this.world.hasPeer(this.device.publicKey, "wg1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peers[Symbol.asyncDispose]();
    this.timers[Symbol.dispose]();
    await this.world[Symbol.asyncDispose]();
  }
}

eachDatabase("sync(): only the network that failed is compared again, each time later", async (database) => {
  await using scene = await Scene.start(database);
  const { world, keeper, timers, peers } = scene;
  world.keeper.broken.add("wg1");
  await rejects(peers.sync(), /wg1 cannot be changed/);
  equal(peers.isSettled, false);
  for (const wait of [1_000, 2_000, 4_000]) {
    keeper.asked.length = 0;
    timers.end(wait);
    await eventually("the retry's end", () => timers.delays.includes(2 * wait));
    deepEqual(keeper.asked, ["beginPeers wg1"]);
  }
  world.keeper.broken.clear();
  timers.end(8_000);
  await eventually("the end of the comparison", () => peers.isSettled);
  equal(scene.isPeer, true);
  ok(!timers.delays.includes(1_000) && !timers.delays.includes(16_000), "it is not compared again");
});

eachDatabase(
  "cameUp(): an interface is compared at once, and later pauses are short again",
  async (database) => {
    await using scene = await Scene.start(database);
    const { world, keeper, timers, peers } = scene;
    world.keeper.broken.add("wg1");
    await rejects(peers.sync(), /wg1 cannot be changed/);
    for (const wait of [1_000, 2_000]) {
      timers.end(wait);
      await eventually("the retry's end", () => timers.delays.includes(2 * wait));
    }
    // It is up, but does not answer yet.
    await peers.cameUp("wg1");
    ok(timers.delays.includes(1_000) && !timers.delays.includes(4_000), timers.delays.join());
    world.keeper.broken.clear();
    keeper.asked.length = 0;
    await peers.cameUp("wg1");
    equal(scene.isPeer, true);
    equal(peers.isSettled, true);
    deepEqual(timers.delays, [60_000]);
    // It was made again, so it has no peers although nothing has failed.
    world.keeper.interfaces.delete("wg1");
    await Promise.all([peers.cameUp("wg1"), peers.cameUp("wg1")]);
    equal(scene.isPeer, true);
    const comparisons = keeper.asked.filter((request) => request.startsWith("beginPeers"));
    deepEqual(
      comparisons,
      ["beginPeers wg1", "beginPeers wg1"],
      "two reports at the same time cause one comparison",
    );
    await peers.cameUp();
    ok(keeper.asked.includes("beginPeers wg0"));
  },
);

eachDatabase(
  "cameUp(): an interface that comes up again and again is compared with pauses",
  async (database) => {
    await using world = await World.start(database);
    const keeper = new NotedKeeper(world.keeper);
    using timers = new HeldTimers();
    await using peers = new Peers(world.store, keeper, () => world.now, () => {});
    await peers.sync();
    const comparisons = () => keeper.asked.filter((request) => request === "beginPeers wg0").length;
    const before = comparisons();
    for (let at = 0; at < 50; at++) await peers.cameUp("wg0");
    equal(comparisons() - before, 3);
    equal(peers.isSettled, false, "it is compared later");
    for (const [at, pause] of [1_000, 2_000, 4_000].entries()) {
      timers.end(pause);
      await eventually("the comparison", () => peers.isSettled);
      equal(comparisons() - before, 4 + at);
      for (let again = 0; again < 50; again++) await peers.cameUp("wg0");
    }
    equal(comparisons() - before, 6);
  },
);

eachDatabase("apply(): only the interface that failed is compared again", async (database) => {
  await using scene = await Scene.start(database);
  const { world, device: { id }, keeper, timers, peers } = scene;
  await peers.sync();
  await world.store.devices.change(id, { disabledAt: world.now });
  world.keeper.refuses.add("removePeers");
  await rejects(peers.apply({ devices: [id] }), /refuses removePeers/);
  equal(peers.isSettled, false);
  // What expires is still searched for.
  ok(timers.delays.includes(60_000), timers.delays.join());
  keeper.asked.length = 0;
  timers.end(1_000);
  await eventually("the end of the comparison", () => peers.isSettled);
  equal(scene.isPeer, false);
  equal(keeper.asked[0], "beginPeers wg1");
  ok(!keeper.asked.some((request) => request.endsWith("wg0")), keeper.asked.join());
});

Deno.test("Retries: the pauses grow to a minute, and begin anew after a success", () => {
  using timers = new HeldTimers();
  const retried: string[] = [];
  using retries = new Retries((name) => void retried.push(name));
  for (const wait of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    retries.begin("wg0");
    retries.failed("wg0");
    retries.failed("wg0");
    retries.end("wg0");
    equal(retries.isEmpty, false);
    deepEqual(timers.delays, [wait]);
    timers.end(wait);
  }
  retries.failed("wg1");
  deepEqual(timers.delays, [1_000]);
  retries.begin("wg0");
  retries.end("wg0");
  retries.failed("wg0");
  deepEqual(timers.delays, [1_000, 1_000]);
  deepEqual(retried, Array(8).fill("wg0"));
});

eachDatabase(
  "sync(): tunnels of devices that are cut off end before anything is compared",
  async (database) => {
    await using world = await World.start(database);
    const { store } = world;
    await world.addNetwork("wg1", "10.9.0.1/24");
    const [stays, goes, late] = [await add(world, "wg0"), await add(world, "wg1"), await add(world, "wg1")];
    const left: boolean[] = [];
    const keeper = new NotedKeeper(world.keeper, (verb) => {
      if (verb === "keepPeers") left.push(world.hasPeer(goes.publicKey, "wg1"));
    });
    await using peers = new Peers(store, keeper, () => world.now, () => {});
    await peers.sync();
    equal(world.hasPeer(goes.publicKey, "wg1"), true);
    // The store knows it, but the interface does not.
    world.keeper.away = true;
    await store.devices.change(goes.id, { disabledAt: world.now });
    await rejects(peers.apply({ devices: [goes.id] }), /the keeper is away/);
    world.keeper.away = false;
    left.length = 0;
    await peers.sync();
    deepEqual(left, [false, false]);
    // The comparison itself finds that it may not connect.
    await store.devices.change(goes.id, { disabledAt: null });
    await peers.apply({ devices: [goes.id] });
    equal(world.hasPeer(goes.publicKey, "wg1"), true);
    await store.devices.change(goes.id, { disabledAt: world.now });
    left.length = 0;
    await peers.sync();
    deepEqual(left, [false, false]);
    ok(world.hasPeer(stays.publicKey) && world.hasPeer(late.publicKey, "wg1"));
  },
);

eachDatabase("sync(): a key that another process gave another address has that address", async (database) => {
  await using world = await World.start(database);
  await using other = await database.store();
  const { id, publicKey } = await add(world, "wg0");
  const { id: networkId } = (await world.store.networks.find("wg0"))!;
  const address = "10.8.0.77";
  const interrupted: KeeperClient = {
    async ask(verb, takes) {
      if (verb === "keepPeers") {
        await other.devices.remove(id);
        await world.keeper.ask("removePeers", { interface: "wg0", publicKeys: [publicKey] });
        await other.devices.add({ networkId, name: "new", publicKey, addresses: [address] }, world.now);
        const peers = [{ publicKey, addresses: [address] }];
        await world.keeper.ask("addPeers", { interface: "wg0", peers });
      }
      return await world.keeper.ask(verb, takes);
    },
  };
  await using peers = new Peers(world.store, interrupted, () => world.now, () => {});
  await peers.sync();
  deepEqual(world.keeper.addresses.get(`wg0 ${publicKey}`), [address]);
});

eachDatabase("the history of a network is recorded although another one cannot be read", async (database) => {
  await using world = await World.start(database);
  const { store } = world;
  await world.addNetwork("wg1", "10.9.0.1/24");
  const { id, publicKey } = await add(world, "wg1");
  const since = new Map<string, number>();
  const keeper: KeeperClient = {
    async ask(verb, takes) {
      if (verb !== "counters") return await world.keeper.ask(verb, takes);
      const { interface: name, since: from } = takes as Verbs["counters"]["takes"];
      since.set(name, from);
      // Refused like any request.
      await world.keeper.ask(verb, takes as never);
      if (name !== "wg1") return { peers: [], rest: null } as never;
      const counters = { endpoint: null, lastHandshakeAt: world.now, rxBytes: 5, txBytes: 7 };
      return { peers: [{ publicKey, ...counters }], rest: null } as never;
    },
  };
  world.keeper.broken.add("wg0");
  const log: string[] = [];
  using sampler = new Sampler({ store, keeper, clock: () => world.now, log: (text) => void log.push(text) });
  await sampler.record();
  world.now += 60_000;
  await sampler.record();
  equal((await store.devices.find(id))!.rxBytes, 5);
  ok(since.get("wg1")! > 0);
  equal(since.get("wg0"), 0);
  deepEqual(log, ["the counters of wg0 cannot be read: wg0 cannot be changed"]);
  // Nor does it keep watched devices of others from being shown.
  const watched = await add(world, "wg0");
  const end = new AbortController();
  const shown = new Promise<number[]>((resolve) =>
    sampler.watch({
      ids: [id, watched.id],
      ownerId: undefined,
      show: (devices) => resolve(devices.map(({ lastHandshakeAt }) => lastHandshakeAt)),
    }, end.signal)
  );
  deepEqual((await shown).toSorted(), [0, world.now]);
  end.abort();
});

Deno.test("a keeper that never answers does not keep the web process from ending", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wgd-keeper-" });
  const path = `${folder}/keeper.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  const accepted = listener.accept();
  await using world = await World.start();
  {
    using keeper = new KeeperConnection(path);
    await using peers = new Peers(world.store, keeper, () => world.now, () => {});
    const synced = rejects(peers.sync(), /the keeper has ended/);
    using _connection = await accepted;
    keeper.closeIn(50);
    await synced;
    await rejects(keeper.ask("networks", {}), /wgd web is ending/);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the keeper tells its clients what comes up, between its responses", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wgd-keeper-" });
  const path = `${folder}/keeper.sock`;
  const keeper = {
    do: (_verb: string, takes: unknown) => Promise.resolve(takes),
    forget() {},
  } as unknown as Keeper;
  const server = serveKeeper(keeper, path, Deno.uid()!, Deno.gid()!, () => {});
  const told: string[] = [];
  using listens = new KeeperConnection(path);
  using asks = new KeeperConnection(path);
  await Promise.all([listens.ask("networks", {}), asks.ask("networks", {})]);
  listens.listen({
    cameUp: (name) => void told.push(name),
    routesChanged() {},
    isBack: () => void told.push("back"),
  });
  const long = { interface: "wg0", publicKey: "x".repeat(1 << 20) };
  const answers = [1, 2].map(() => listens.ask("presharedKey", long));
  server.tell({ up: "wg0" });
  server.tell({ up: "wg1" });
  for (const answer of answers) deepEqual(await answer, long);
  await eventually("both notices", () => told.length === 2);
  deepEqual(told, ["wg0", "wg1"]);
  // A client without a listener ignores them.
  deepEqual(await asks.ask("networks", {}), {});
  server.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a client that listens connects again to a keeper that has ended", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wgd-keeper-" });
  const path = `${folder}/keeper.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  using keeper = new KeeperConnection(path);
  const asked = rejects(keeper.ask("networks", {}), /the keeper has ended/);
  const first = await listener.accept();
  const back = new Promise<void>((isBack) => keeper.listen({ cameUp() {}, routesChanged() {}, isBack }));
  first.close();
  await asked;
  using _second = await listener.accept();
  await back;
  keeper[Symbol.dispose]();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the keeper forgets a connection that has ended", async () => {
  const folder = await Deno.makeTempDir({ prefix: "wgd-keeper-" });
  const path = `${folder}/keeper.sock`;
  const callers: object[] = [];
  const forgotten: object[] = [];
  const keeper = {
    do: (_verb: string, _takes: unknown, caller: object) => Promise.resolve(callers.push(caller)),
    forget: (caller: object) => void forgotten.push(caller),
  } as unknown as Keeper;
  const server = serveKeeper(keeper, path, Deno.uid()!, Deno.gid()!, () => {});
  using stays = new KeeperConnection(path);
  await stays.ask("networks", {});
  {
    using ends = new KeeperConnection(path);
    await ends.ask("networks", {});
  }
  await eventually("the end of the connection", () => forgotten.length > 0);
  equal(forgotten.length, 1);
  ok(forgotten[0] === callers[1] && callers[0] !== callers[1]);
  stays[Symbol.dispose]();
  await eventually("the end of the other one", () => forgotten.length === 2);
  server.close();
  await Deno.remove(folder, { recursive: true });
});
