/**
 * `wgd web audit`: the audit log as text and as JSON, and whether somebody has changed it in the database.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import type { Store } from "../../core/web/store/store.ts";
import { sqliteIn } from "../unit/web/test_database.ts";
import { calledAs, wgd } from "./oracle.ts";

const decoder = new TextDecoder();

/** A server's folder with a log of five entries, which nothing else has open. */
async function withLog(body: (data: string) => Promise<void>): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "wgd-audit-" });
  try {
    await Deno.mkdir(`${data}/web`);
    await change(data, async ({ events }) => {
      for (let n = 1; n <= 5; n++) {
        await events.add({
          actor: "user:u1 anna",
          action: "device.add",
          target: `device:d${n}`,
          address: n === 2 ? null : "192.0.2.7",
          detail: n === 3 ? {} : { name: `phone ${n}\u009b` },
        }, Date.UTC(2030, 0, 1, 12, 0, n));
      }
    });
    await body(data);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

/** Does something to the database, as another program could. */
async function change(data: string, work: (store: Store) => Promise<unknown>): Promise<void> {
  await using store = await sqliteIn(`${data}/web`).store();
  await work(store);
}

async function audit(data: string, ...more: string[]) {
  const [program, before] = wgd();
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...before, "web", "audit", "--data", data, ...more],
    env: calledAs("wgd"),
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

const CHANGES: readonly (readonly [what: string, sql: string, broken: number])[] = [
  ["an action", "UPDATE events SET action = 'device.remove' WHERE number = 2", 2],
  ["details that are no longer JSON", "UPDATE events SET detail = 'gone' WHERE number = 4", 4],
  ["a removed entry", "DELETE FROM events WHERE number = 3", 3],
  ["a removed beginning", "DELETE FROM events WHERE number < 3", 1],
  ["details that are another kind of JSON", "UPDATE events SET detail = 'null' WHERE number = 4", 4],
  ["an entry before the first", inserted(0), 0],
  ["an entry long before the first", inserted(-7), -7],
  ["an entry after the last", inserted(6), 6],
];

function inserted(number: number): string {
  return `INSERT INTO events SELECT ${number}, time, actor, action, target, address, detail, previous_hash, hash
    FROM events WHERE number = 5`;
}

Deno.test("wgd web audit prints all entries, the oldest first", async () => {
  await withLog(async (data) => {
    const { code, stdout, stderr } = await audit(data);
    equal(stderr, "");
    equal(code, 0);
    deepEqual(stdout.split("\n"), [
      '1  2030-01-01T12:00:01Z  device.add  user:u1 anna  device:d1  from 192.0.2.7  {"name":"phone 1\\x9b"}',
      '2  2030-01-01T12:00:02Z  device.add  user:u1 anna  device:d2  {"name":"phone 2\\x9b"}',
      "3  2030-01-01T12:00:03Z  device.add  user:u1 anna  device:d3  from 192.0.2.7",
      '4  2030-01-01T12:00:04Z  device.add  user:u1 anna  device:d4  from 192.0.2.7  {"name":"phone 4\\x9b"}',
      '5  2030-01-01T12:00:05Z  device.add  user:u1 anna  device:d5  from 192.0.2.7  {"name":"phone 5\\x9b"}',
      "",
    ]);
    const entries = JSON.parse((await audit(data, "--json")).stdout);
    equal(entries.length, 5);
    const { hash, previousHash, ...first } = entries[0];
    deepEqual(first, {
      number: 1,
      time: "2030-01-01T12:00:01.000Z",
      actor: "user:u1 anna",
      action: "device.add",
      target: "device:d1",
      address: "192.0.2.7",
      detail: { name: "phone 1\u009b" },
    });
    equal(previousHash, "");
    equal(entries[1].previousHash, hash);
    const verified = await audit(data, "--verify");
    deepEqual([verified.code, verified.stderr], [0, ""]);
    equal(verified.stdout, `5 entries, all as written; last hash: ${entries[4].hash}\n`);
  });
});

Deno.test("wgd web audit of a server without entries", async () => {
  await withLog(async (data) => {
    await change(data, ({ database }) => database.run("DELETE FROM events"));
    deepEqual(await audit(data), { code: 0, stdout: "", stderr: "" });
    deepEqual(await audit(data, "--json"), { code: 0, stdout: "[]\n", stderr: "" });
  });
});

Deno.test("wgd web audit shows characters that control a terminal or turn the direction of writing", async () => {
  const name = "\u009b2J\u202egnp.\u2028\u{e0001}\u007f";
  await withLog(async (data) => {
    await change(data, ({ database, events }) =>
      database.run("DELETE FROM events").then(() =>
        events.add(
          { actor: `user:u1 ${name}`, action: "sign-in", target: null, address: null, detail: { name } },
          0,
        )
      ));
    for (const more of [[], ["--json"]]) {
      const { code, stdout } = await audit(data, ...more);
      equal(code, 0);
      deepEqual(stdout.match(/[\p{Cf}\p{Zl}\p{Zp}\x7f-\x9f]/gu), null, stdout);
      if (more.length > 0) equal(JSON.parse(stdout)[0].detail.name, name);
    }
  });
});

for (const [what, sql, broken] of CHANGES) {
  Deno.test(`wgd web audit names the first entry that is wrong: ${what}`, async () => {
    await withLog(async (data) => {
      await change(data, ({ database }) => database.run(sql));
      for (const more of [[], ["--json"], ["--verify"], ["--verify", "--json"]]) {
        const { code, stdout, stderr } = await audit(data, ...more);
        equal(code, 1, more.join());
        match(stderr, new RegExp(`^wgd: the audit log is broken at entry ${broken}: .*\n$`), more.join());
        if (more.includes("--json")) JSON.parse(stdout);
        if (more.length === 2) equal(JSON.parse(stdout).firstBroken, broken);
      }
    });
  });
}
