/**
 * Sets a server up, adds a network or removes one, and is killed in the middle.
 *
 * Arguments: the folder, what to do, and the step before which it is killed.
 *
 * @module
 */

import { changeTogether, interfacesIn } from "../../../core/web/interfaces.ts";
import { KeeperFiles } from "../../../core/web/keeper/files.ts";
import { addNetwork } from "../../../core/web/networks.ts";
import { begin } from "../../../core/web/setup.ts";
import { sqliteIn } from "./test_database.ts";

const [folder, what, step] = Deno.args as [string, string, string];

function reach(at: string): void {
  if (at === step) Deno.kill(Deno.pid, "SIGKILL");
}

const store = await sqliteIn(folder).store();
const files = interfacesIn(new KeeperFiles(`${folder}/keeper`));
const interfaces: typeof files = {
  ...files,
  async make(wanted) {
    reach("make");
    const made = await files.make(wanted);
    reach("insert");
    return made;
  },
  async settle(name, keep) {
    reach("settle");
    await files.settle(name, keep);
  },
};
const network = { name: "wg1", addresses: ["10.9.0.1/24"], endpoint: "192.0.2.1:51821" };
await changeTogether(store, interfaces, async (records) => {
  if (what === "init") {
    const admin = { name: "first", passwordHash: "none" };
    await begin(records, { interfaces, network, admin }, { actor: "system", address: null }, 1);
  } else if (what === "add") {
    await addNetwork(records, interfaces, network, 1);
  } else {
    const { id } = (await records.networks.find("wg1"))!;
    await interfaces.unsettle("wg1");
    reach("delete");
    await records.networks.remove(id);
  }
  reach("commit");
});
await store[Symbol.asyncDispose]();
