/**
 * The peers of interfaces follow the store, also where another process changes both at the same time.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { KeeperClient } from "../../../core/web/keeper/client.ts";
import type { Verb, Verbs } from "../../../core/web/keeper/verbs.ts";
import { Peers } from "../../../core/web/peers.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { fillStore } from "./crowd.ts";
import { eachDatabase } from "./databases.ts";
import { type Browser, MemoryKeeper, World } from "./world.ts";

/** A keeper that runs another change before it sets a slice of the peers of an interface. */
class InterruptedKeeper implements KeeperClient {
  readonly #keeper: KeeperClient;
  readonly #interruption: (count: number) => Promise<void>;
  /** How often it was asked for each verb. */
  readonly asked = new Map<Verb, number>();

  constructor(keeper: KeeperClient, interruption: (count: number) => Promise<void>) {
    this.#keeper = keeper;
    this.#interruption = interruption;
  }

  async ask<V extends Verb>(verb: V, takes: Verbs[V]["takes"]): Promise<Verbs[V]["gives"]> {
    this.asked.set(verb, (this.asked.get(verb) ?? 0) + 1);
    if (verb === "keepPeers") await this.#interruption(this.asked.get(verb)!);
    return await this.#keeper.ask(verb, takes);
  }
}

eachDatabase(
  "sync(): a peer that another process adds or removes meanwhile is not undone",
  async (database) => {
    await using world = await World.start(database);
    await using other = await database.store();
    const { id: networkId } = (await world.store.networks.find("wg0"))!;
    const add = (name: string) =>
      other.devices.add({ networkId, name, publicKey: generateKeys().publicKey }, world.now);
    const [stays, goes] = [await add("stays"), await add("goes")];
    const shared = new MemoryKeeper();
    let comes = "";
    const keeper = new InterruptedKeeper(shared, async (count) => {
      if (count > 1) return;
      ({ publicKey: comes } = await add("comes"));
      await shared.ask("addPeers", { interface: "wg0", peers: [{ publicKey: comes, addresses: [] }] });
      await other.devices.remove(goes.id);
      await shared.ask("removePeers", { interface: "wg0", publicKeys: [goes.publicKey] });
    });
    await using peers = new Peers(world.store, keeper, () => world.now, () => {});
    await peers.sync();
    deepEqual([...shared.interfaces.get("wg0")!].sort(), [stays.publicKey, comes].sort());
    equal(keeper.asked.get("beginPeers"), 1);
  },
);

eachDatabase("sync(): other changes are made between two slices of many devices", async (database) => {
  await using world = await World.start(database);
  const { store, keeper } = world;
  await world.addNetwork("wg1", "10.64.0.1/14");
  const network = (await store.networks.find("wg1"))!;
  await fillStore(store, { devices: 3_500, users: 5 }, world.now, network);
  const early = (await store.devices.admitted(network.id, ""))[0]!.publicKey;
  const [late] = await store.database.all("SELECT id FROM devices ORDER BY public_key DESC LIMIT 1");
  const [removed, disabled] = await Promise.all([
    store.devices.called(network.id, early),
    store.devices.find(String(late!.id)),
  ]);
  const expiring = { networkId: network.id, name: "expires", expiresAt: world.now + 1 };
  const expired = await store.devices.add({ ...expiring, publicKey: `${"z".repeat(43)}=` }, world.now);
  // The interface has a peer that is not in the store, as after a restore, and one that is about to be added.
  const [unknown, added] = [generateKeys().publicKey, `${"+".repeat(43)}=`];
  for (const publicKey of [unknown, added]) {
    await keeper.ask("addPeers", { interface: "wg1", peers: [{ publicKey, addresses: [] }] });
  }
  const done: string[] = [];
  const slow: InterruptedKeeper = new InterruptedKeeper(keeper, async (count) => {
    if (count !== 1) return;
    equal(peers.isSettled, false);
    const device = await store.devices.add(
      { networkId: network.id, name: "new", publicKey: added },
      world.now,
    );
    await store.devices.change(disabled!.id, { disabledAt: world.now });
    world.now += 1;
    peers.add(device).then(() => done.push("added"));
    peers.remove(removed[0]!, async () => {}).then(() => done.push("removed"));
    peers.apply({ devices: [disabled!.id] }).then(() =>
      done.push(`applied after ${slow.asked.get("keepPeers")}`)
    );
  });
  await using peers: Peers = new Peers(store, slow, () => world.now, () => {});
  await peers.sync();
  deepEqual(done, ["added", "removed", "applied after 1"]);
  equal(peers.isSettled, true);
  const has = [added, unknown, early, disabled!.publicKey, expired.publicKey].map((key) =>
    world.hasPeer(key, "wg1")
  );
  deepEqual(has, [true, false, false, false, false]);
  const rows = await store.database.all(
    "SELECT public_key FROM devices WHERE network_id = ? AND cut IS NULL",
    network.id,
  );
  const wanted = rows.map((row) => String(row.public_key)).sort();
  deepEqual([...keeper.interfaces.get("wg1")!].sort(), wanted);
});

eachDatabase("sync(): a change that fails meanwhile is compared again", async (database) => {
  await using world = await World.start(database);
  const { store, keeper } = world;
  const { id, publicKey } = await add(world, "wg0");
  const slow: InterruptedKeeper = new InterruptedKeeper(keeper, async (count) => {
    if (count > 1) return;
    await store.devices.change(id, { disabledAt: world.now });
    // Before the end of the comparison, but after this slice.
    peers.apply({ devices: [id] }).catch(() => {});
    keeper.refuses.add("removePeers");
  });
  await using peers: Peers = new Peers(store, slow, () => world.now, () => {});
  await peers.sync();
  equal(peers.isSettled, false);
  await eventually("the second comparison", () => peers.isSettled && !world.hasPeer(publicKey));
});

eachDatabase(
  "apply(): if the clock is set back, devices that had expired are added again",
  async (database) => {
    await using world = await World.start(database);
    const { store, peers } = world;
    const { id: networkId } = (await store.networks.find("wg0"))!;
    const { publicKey } = generateKeys();
    await store.devices.add({ networkId, name: "phone", publicKey, expiresAt: world.now + 1_000 }, world.now);
    await peers.sync();
    equal(world.hasPeer(publicKey), true);
    world.now += 1_000;
    await peers.apply({});
    equal(world.hasPeer(publicKey), false);
    world.now -= 1;
    await peers.apply({});
    equal(world.hasPeer(publicKey), true);
    world.now += 1;
    await peers.apply({ devices: [] });
    equal(world.hasPeer(publicKey), false);
  },
);

/** Adds a device to a network, without its peer. @returns Its identifier and public key. */
async function add(
  { store, now }: World,
  network: string,
  more: { expiresAt?: number; ownerId?: string } = {},
): Promise<{ id: string; publicKey: string }> {
  const { id: networkId } = (await store.networks.find(network))!;
  const { publicKey } = generateKeys();
  return await store.devices.add({ networkId, name: "phone", publicKey, ...more }, now);
}

eachDatabase(
  "apply(): what the keeper refused is repeated, whatever succeeds meanwhile",
  async (database) => {
    await using world = await World.start(database);
    const { store, peers, keeper } = world;
    const { id, publicKey } = await add(world, "wg0");
    await peers.sync();
    await store.devices.change(id, { disabledAt: world.now });
    keeper.refuses.add("removePeers");
    await rejects(peers.apply({ devices: [id] }), /refuses removePeers/);
    await peers.apply({});
    equal(world.hasPeer(publicKey), true);
    await eventually("the second request to the keeper", () => !world.hasPeer(publicKey));
  },
);

eachDatabase("an interface that cannot be changed does not keep others from changing", async (database) => {
  await using world = await World.start(database);
  const { store, peers, keeper } = world;
  await world.addNetwork("wg1", "10.9.0.1/24");
  await world.addNetwork("wg2", "10.10.0.1/24");
  const made = [await add(world, "wg0"), await add(world, "wg1"), await add(world, "wg2")];
  const [first, , last] = made.map(({ publicKey }) => publicKey);
  const ids = made.map(({ id }) => id);
  await peers.sync();
  keeper.broken.add("wg1");
  for (const id of ids) await store.devices.change(id, { disabledAt: world.now });
  await rejects(peers.apply({ devices: ids }), /wg1 cannot be changed/);
  deepEqual([world.hasPeer(first!), world.hasPeer(last!, "wg2")], [false, false]);
  for (const id of ids) await store.devices.change(id, { disabledAt: null });
  await rejects(peers.sync(), /wg1 cannot be changed/);
  deepEqual([world.hasPeer(first!), world.hasPeer(last!, "wg2")], [true, true]);
});

eachDatabase("a device that expires while a change is applied is removed afterwards", async (database) => {
  await using world = await World.start(database);
  const { store } = world;
  const disabled = await add(world, "wg0");
  const { publicKey } = await add(world, "wg0", { expiresAt: world.now + 1_000 });
  const slow: KeeperClient = {
    ask(verb, takes) {
      if (verb === "removePeers") world.now += 1_000;
      return world.keeper.ask(verb, takes);
    },
  };
  await using peers: Peers = new Peers(store, slow, () => world.now, () => {});
  await peers.sync();
  equal(world.hasPeer(publicKey), true);
  await store.devices.change(disabled.id, { disabledAt: world.now });
  await peers.apply({ devices: [disabled.id] });
  await eventually("the end of the tunnel", () => !world.hasPeer(publicKey));
});

/** Notes the timers that are set until it is disposed of. They run as always. */
class WatchedTimers implements Disposable {
  readonly set: { delay: number; work: () => void }[] = [];
  readonly #setTimeout = globalThis.setTimeout;

  constructor() {
    globalThis.setTimeout = ((work: () => void, delay = 0) => {
      this.set.push({ delay, work });
      return this.#setTimeout(work, delay);
    }) as typeof setTimeout;
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#setTimeout;
  }
}

eachDatabase(
  "expired devices are searched for each minute, because another process may have added them",
  async (database) => {
    await using world = await World.start(database);
    await using other = await database.store();
    const { id: networkId } = (await world.store.networks.find("wg0"))!;
    using timers = new WatchedTimers();
    for (const expiresAt of [undefined, world.now + 3_600_000]) {
      if (expiresAt !== undefined) await add(world, "wg0", { expiresAt });
      timers.set.length = 0;
      await world.peers.sync();
      const watch = timers.set.filter(({ delay }) => delay >= 10_000).at(-1);
      ok(watch, "a timer is set");
      equal(watch.delay, 60_000);
      const lives = [30_000, -1_000];
      const keys = lives.map(() => generateKeys().publicKey);
      for (const [index, publicKey] of keys.entries()) {
        // The second one has expired before the transaction of the other process ended.
        const added = { networkId, name: "new", publicKey, expiresAt: world.now + lives[index]! };
        await other.devices.add(added, world.now);
        await world.keeper.ask("addPeers", { interface: "wg0", peers: [{ publicKey, addresses: [] }] });
      }
      world.now += 60_000;
      watch.work();
      await eventually("the end of the tunnels", () => !keys.some((key) => world.hasPeer(key)));
    }
  },
);

/** Changes that cut a device off: its own, its user's, and of the group that gives the network. */
const CUTS: Record<
  string,
  (admin: Browser, ids: Record<"device" | "user" | "group", string>) => Promise<unknown>
> = {
  "PATCH /devices/:id": (admin, { device }) => admin.patch(`/devices/${device}`, { disabled: true }),
  "PATCH /users/:id": (admin, { user }) => admin.patch(`/users/${user}`, { disabled: true }),
  "DELETE /users/:id": (admin, { user }) => admin.delete(`/users/${user}`),
  "PATCH /groups/:id": (admin, { group }) => admin.patch(`/groups/${group}`, { networks: [] }),
  "DELETE /groups/:id": (admin, { group }) => admin.delete(`/groups/${group}`),
};

for (const [name, cut] of Object.entries(CUTS)) {
  eachDatabase(`${name}: if it fails half-way, the interface matches the store`, async (database) => {
    await using world = await World.start(database);
    const { store } = world;
    const admin = await world.signedIn();
    const user = await world.addUser(admin, "anna");
    const devices = [
      await add(world, "wg0", { ownerId: user }),
      await add(world, "wg0", { ownerId: user }),
    ];
    await world.peers.sync();
    const group = (await store.groups.list()).find(({ name }) => name === "staff")!.id;
    // So the audit log cannot be written.
    await store.database.run("ALTER TABLE events RENAME TO lost_events");
    const { status } = await cut(admin, { device: devices[0]!.id, user, group }) as { status: number };
    ok(status >= 500, String(status));
    // What the store says now. It has nothing left to say to the interface.
    const { id: networkId } = (await store.networks.find("wg0"))!;
    deepEqual(await store.devices.takeCutChanges(world.now, "anything"), []);
    const admitted = (await store.devices.admitted(networkId, "")).map(({ publicKey }) => publicKey);
    deepEqual([...world.keeper.interfaces.get("wg0")!].sort(), admitted.sort());
  });
}

eachDatabase("change(): the part of a change before its failure is applied", async (database) => {
  await using world = await World.start(database);
  const { store, peers } = world;
  const { id, publicKey } = await add(world, "wg0");
  await peers.sync();
  const failing = peers.change({ devices: [id] }, async () => {
    await store.devices.change(id, { disabledAt: world.now });
    throw new Error("the second half");
  });
  await rejects(failing, /the second half/);
  equal(world.hasPeer(publicKey), false);
});

eachDatabase(
  "apply(): if the store cannot be changed, what has expired is cut off all the same",
  async (database) => {
    await using world = await World.start(database);
    const { store, peers } = world;
    const expiring = await add(world, "wg0", { expiresAt: world.now + 1_000 });
    const stays = await add(world, "wg0");
    await peers.sync();
    deepEqual([expiring, stays].map(({ publicKey }) => world.hasPeer(publicKey)), [true, true]);
    // So no device can be changed, as if the disk was full.
    await store.database.run(
      "CREATE UNIQUE INDEX full_disk ON devices ((cut IS NULL)) WHERE cut IS NOT NULL",
    );
    await store.database.run(
      "UPDATE devices SET cut = 'disabled', disabled_at = 1 WHERE id = ?",
      (await add(world, "wg0")).id,
    );
    world.now += 2_000;
    await rejects(peers.apply({}));
    deepEqual([expiring, stays].map(({ publicKey }) => world.hasPeer(publicKey)), [false, true]);
    // A comparison of everything fails as well, and does not undo it.
    await rejects(peers.sync());
    deepEqual([expiring, stays].map(({ publicKey }) => world.hasPeer(publicKey)), [false, true]);
  },
);

const OF_GROUP: Readonly<Record<string, (admin: Browser, group: string) => Promise<{ status: number }>>> = {
  "PATCH /groups/:id": (admin, group) => admin.patch(`/groups/${group}`, { networks: [] }),
  "DELETE /groups/:id": (admin, group) => admin.delete(`/groups/${group}`),
};
for (const [name, change] of Object.entries(OF_GROUP)) {
  eachDatabase(`${name}: only the devices of its members are compared`, async (database) => {
    await using world = await World.start(database);
    const { store } = world;
    const admin = await world.signedIn();
    const member = await add(world, "wg0", { ownerId: await world.addUser(admin, "anna") });
    const { id: bert } = await store.users.add({ name: "bert", role: "user" }, world.now);
    const others = [await add(world, "wg0"), await add(world, "wg0", { ownerId: bert })];
    await world.peers.sync();
    // Whoever compares these corrects them.
    for (const { id } of others) {
      await store.database.run("UPDATE devices SET cut = 'expired' WHERE id = ?", id);
    }
    const group = (await store.groups.list()).find(({ name }) => name === "staff")!.id;
    ok((await change(admin, group)).status < 300);
    equal((await store.devices.find(member.id))!.cut, "no-access");
    equal(world.hasPeer(member.publicKey), false);
    for (const { id } of others) equal((await store.devices.find(id))!.cut, "expired");
  });
}
