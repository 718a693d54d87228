/**
 * A process that is killed while a network comes or goes leaves it whole or not there at all.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { changeTogether, interfacesIn, settleLeft, Settling } from "../../../core/web/interfaces.ts";
import { KeeperFiles } from "../../../core/web/keeper/files.ts";
import { addNetwork } from "../../../core/web/networks.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { sqliteIn } from "./test_database.ts";

const PROGRAM = new URL("killed_program.ts", import.meta.url);

/** Runs the program to the step before which it is killed. */
async function kill(folder: string, what: string, step: string): Promise<void> {
  const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PROGRAM.href, folder, what, step],
    stderr: "piped",
  }).output();
  equal(signal, "SIGKILL", new TextDecoder().decode(stderr));
}

/** A folder with a keeper's folder, and what the next start makes of it. */
async function inFolder(work: (folder: string, files: KeeperFiles) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-killed-" });
  try {
    await Deno.mkdir(`${folder}/keeper`);
    await work(folder, new KeeperFiles(`${folder}/keeper`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const network = { name: "wg1", addresses: ["10.9.0.1/24"], endpoint: "192.0.2.1:51821" };

for (const what of ["init", "add"]) {
  for (
    const [step, isKept] of [["make", false], ["insert", false], ["commit", false], ["settle", true]] as const
  ) {
    Deno.test(`killed in ${what} before ${step}: the network is ${isKept ? "whole" : "not there"}`, async () => {
      await inFolder(async (folder, files) => {
        await kill(folder, what, step);
        await using store = await sqliteIn(folder).store();
        const interfaces = interfacesIn(files);
        await settleLeft(store, interfaces);
        const networks = await store.networks.list();
        deepEqual(networks.map(({ name }) => name), isKept ? ["wg1"] : []);
        equal((await store.users.list()).length, isKept && what === "init" ? 1 : 0);
        equal((await store.events.list(undefined)).total, isKept && what === "init" ? 2 : 0);
        deepEqual(await files.names(), isKept ? ["wg1"] : []);
        deepEqual(await files.unsettled(), []);
        const left = (await Array.fromAsync(Deno.readDir(files.folder))).map(({ name }) => name).sort();
        deepEqual(left, isKept ? ["wg1.conf", "wg1.secret.json"] : []);
        if (isKept) {
          equal((await files.network("wg1")).publicKey, networks[0]!.publicKey);
          ok((await files.secret("wg1")).secret.length === 44);
          return;
        }
        // It can be done now.
        await changeTogether(store, interfaces, (records) => addNetwork(records, interfaces, network, 2));
        deepEqual(await files.names(), ["wg1"]);
      });
    });
  }
}

for (const [step, isKept] of [["delete", true], ["commit", true], ["settle", false]] as const) {
  Deno.test(`killed in the removal before ${step}: the network is ${isKept ? "whole" : "gone"}`, async () => {
    await inFolder(async (folder, files) => {
      const interfaces = interfacesIn(files);
      {
        await using store = await sqliteIn(folder).store();
        await changeTogether(store, interfaces, (records) => addNetwork(records, interfaces, network, 1));
      }
      await kill(folder, "remove", step);
      await using store = await sqliteIn(folder).store();
      await settleLeft(store, interfaces);
      equal((await store.networks.list()).length, isKept ? 1 : 0);
      deepEqual(await files.names(), isKept ? ["wg1"] : []);
      deepEqual(await files.unsettled(), []);
    });
  });
}

Deno.test("if two processes make the same network at once, one succeeds and its files stay", async () => {
  await inFolder(async (folder, files) => {
    const interfaces = interfacesIn(files);
    await using one = await sqliteIn(folder).store();
    await using other = await sqliteIn(folder).store();
    const results = await Promise.allSettled(
      [one, other, one, other].map((store) =>
        changeTogether(store, interfaces, (records) => addNetwork(records, interfaces, network, 1))
      ),
    );
    deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected", "rejected"]);
    deepEqual(await files.names(), ["wg1"]);
    equal((await files.network("wg1")).publicKey, (await one.networks.list())[0]!.publicKey);
    deepEqual(await files.unsettled(), []);
  });
});

Deno.test("an interface that cannot be removed with its network is removed later", async () => {
  await inFolder(async (folder, files) => {
    await using store = await sqliteIn(folder).store();
    const kept = interfacesIn(files);
    const { id } = await changeTogether(store, kept, (records) => addNetwork(records, kept, network, 1));
    let attempts = 0;
    let isAway = true;
    const settle = async (name: string, keep: boolean) => {
      attempts++;
      if (isAway) throw new Error("the keeper is away");
      await kept.settle(name, keep);
    };
    const interfaces = { ...kept, settle };
    const log: string[] = [];
    await using settling = new Settling(store, interfaces, (text) => void log.push(text), 1);
    const remove = changeTogether(store, interfaces, async (records) => {
      await interfaces.unsettle("wg1");
      await records.networks.remove(id);
    }, settling);
    await rejects(remove, /the keeper is away/);
    equal((await store.networks.list()).length, 0);
    await eventually("a second retry", () => attempts > 2);
    deepEqual(await files.names(), ["wg1"]);
    isAway = false;
    // The mark goes last.
    await eventually("the interface to go", async () => (await files.unsettled()).length === 0);
    deepEqual(await files.names(), []);
    equal(log[0], "interfaces could not be kept or removed: the keeper is away");
  });
});
