/**
 * The peers of interfaces follow the store, also where another process changes both at the same time.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import type { KeeperClient } from "../../../core/web/keeper/client.ts";
import type { Verb, Verbs } from "../../../core/web/keeper/verbs.ts";
import { Peers } from "../../../core/web/peers.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eachDatabase } from "./databases.ts";
import { MemoryKeeper, World } from "./world.ts";

/** A keeper that lets somebody else do something before it sets the peers of an interface. */
class InterruptedKeeper implements KeeperClient {
  readonly #keeper: KeeperClient;
  readonly #interruption: () => Promise<void>;
  /** How often it was asked for each verb. */
  readonly asked = new Map<Verb, number>();

  constructor(keeper: KeeperClient, interruption: () => Promise<void>) {
    this.#keeper = keeper;
    this.#interruption = interruption;
  }

  async ask<V extends Verb>(verb: V, takes: Verbs[V]["takes"]): Promise<Verbs[V]["gives"]> {
    this.asked.set(verb, (this.asked.get(verb) ?? 0) + 1);
    if (verb === "setPeers") await this.#interruption();
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
    const keeper = new InterruptedKeeper(shared, async () => {
      ({ publicKey: comes } = await add("comes"));
      await shared.ask("addPeers", { interface: "wg0", peers: [{ publicKey: comes, addresses: [] }] });
      await other.devices.remove(goes.id);
      await shared.ask("removePeers", { interface: "wg0", publicKeys: [goes.publicKey] });
    });
    using peers = new Peers(world.store, keeper, () => world.now, () => {});
    await peers.sync();
    deepEqual([...shared.interfaces.get("wg0")!].sort(), [stays.publicKey, comes].sort());
    equal(keeper.asked.get("setPeers"), 1);
  },
);

eachDatabase("apply(): a clock that is set back brings devices back that had expired", async (database) => {
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
});
