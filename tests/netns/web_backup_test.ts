/**
 * `wgd web backup` and `wgd web restore` on a running server, with a connected phone.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { migrate, STEPS } from "../../core/web/store/schema.ts";
import { openSqlite } from "../../core/web/store/sqlite.ts";
import { eventually, type Finished } from "./lab/exec.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { ADMIN, DATA, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const NEEDS = { programs: WEB_PROGRAMS };
const BACKUP = "/run/lab/wgd.backup";
const DATABASE = `${DATA}/web/wgd.db`;

const wgd = wgdCommand();

function backup(lab: WebLab, ...more: string[]): Promise<Finished> {
  return lab.server.run([...wgd, "web", "backup", "--to", BACKUP, "--data", DATA, ...more]);
}

function restore(lab: WebLab, ...more: string[]): Promise<Finished> {
  return lab.server.run([...wgd, "web", "restore", BACKUP, "--data", DATA, ...more]);
}

async function stop({ process }: WebLab): Promise<void> {
  await process.signal("TERM");
  await process.ended;
}

/** Opens a copy of a host's database, beside which nothing is: SQLite does not go into another namespace's files. */
function inspect(lab: WebLab, path: string): Disposable & { readonly database: DatabaseSync } {
  const copy = Deno.makeTempFileSync({ prefix: "wgd-backup-" });
  Deno.copyFileSync(lab.server.path(path), copy);
  const database = new DatabaseSync(copy);
  return {
    database,
    [Symbol.dispose]() {
      database.close();
      for (const suffix of ["", "-wal", "-shm"]) {
        try {
          Deno.removeSync(copy + suffix);
        } catch {
          // SQLite has taken it away.
        }
      }
    },
  };
}

/** Names of all devices, and how many the server counts. */
async function names(lab: WebLab): Promise<string[]> {
  const { body: { items, total } } = await lab.call("GET", "/devices?limit=1000");
  equal(items.length, total);
  return items.map(({ name }: { name: string }) => name);
}

await rootTest(
  "a backup that is made while devices are added is complete and can be restored",
  NEEDS,
  async () => {
    await using lab = await WebLab.start();
    const phone = await lab.addDevice("phone");
    await lab.connectPhone(phone);
    ok(await lab.pings("10.8.0.1", 1, 5));
    const admin = lab.browser("admin");
    equal((await admin("POST", "/sign-in", ADMIN)).status, 200);

    let stopped = false;
    const before: string[] = ["phone"];
    const load = Promise.all([1, 2, 3].map(async (worker) => {
      for (let n = 0; !stopped; n++) {
        await lab.addDevice(`${worker}-${n}`);
        before.push(`${worker}-${n}`);
      }
    }));
    for (let n = 0; n < 3; n++) equal((await backup(lab, "--force")).code, 0);
    await lab.server.sh(`chmod 644 ${BACKUP}`);
    const answered = [...before];
    const last = await backup(lab, "--force");
    equal(last.code, 0, last.stderr);
    stopped = true;
    await load;
    const { code, stderr } = await backup(lab);
    equal(code, 1);
    match(stderr, /already exists\nhint: .*--force/);
    equal(
      await lab.server.sh(`stat -c '%a %u' ${BACKUP}; ls -A ${DATA}/web | grep backup || true`),
      "600 0\n",
    );

    const refused = await restore(lab, "--force");
    equal(refused.code, 1);
    match(refused.stderr, /wgd web uses .*\nhint: stop it first/);
    equal((await lab.call("DELETE", `/devices/${phone.id}`)).status, 204);
    equal(await lab.pings(), false);
    const removed = new Set(await names(lab));
    ok(!removed.has("phone"));
    await stop(lab);

    equal((await restore(lab)).code, 1);
    const restored = await restore(lab, "--force");
    equal(restored.code, 0, restored.stderr);
    match(restored.stderr, /^wgd: restored 1 network, \d+ devices and 1 user from /);
    match(restored.stderr, /hint: no tunnel has changed; start the server/);
    deepEqual(
      (await lab.peers()).length,
      removed.size,
      "the interface does not change until the server starts",
    );
    equal(
      await lab.server.sh(`cd ${DATA}/web; ls -A; stat -c '%a %u' wgd.db wgd.db.old`),
      "secrets.key\nwgd.db\nwgd.db.old\n600 65534\n600 65534\n",
    );
    await lab.run();
    await lab.settled();
    const all = await names(lab);
    for (const name of answered) ok(all.includes(name), `${name} is in the backup`);
    equal((await lab.peers()).length, all.length);
    equal((await admin("GET", "/me")).status, 401, "a restored server has no sessions");
    equal(all.includes("phone"), true);
    // It begins a new session when nothing answers any more; a new interface does that now.
    await lab.phone.ok(...wgd, "quick", "down", "/run/lab/wg1.conf");
    await lab.connectPhone(phone);
    ok(await lab.pings("10.8.0.1", 3, 5), "the device connects with the file that it has");
  },
);

await rootTest("an invalid backup is refused, and nothing is changed", NEEDS, async () => {
  await using lab = await WebLab.start();
  await lab.addDevice("phone");
  equal((await backup(lab)).code, 0);
  await stop(lab);
  const good = await Deno.readFile(lab.server.path(BACKUP));
  const state = () => lab.server.sh(`cd ${DATA}/web; sha256sum wgd.db; ls -A`);
  const before = await state();
  const changed = (change: string) => {
    const path = lab.server.path(BACKUP);
    Deno.writeFileSync(path, good);
    using copy = inspect(lab, BACKUP);
    copy.database.exec(change);
    Deno.copyFileSync(copy.database.location()!, path);
  };
  const cases: Record<string, [() => void, RegExp]> = {
    "no file": [() => Deno.removeSync(lab.server.path(BACKUP)), /No such file|not found/],
    "text": [
      () => Deno.writeTextFileSync(lab.server.path(BACKUP), "not a database\n".repeat(500)),
      /not a backup/,
    ],
    "half of it": [
      () => Deno.writeFileSync(lab.server.path(BACKUP), good.slice(0, good.length >> 1)),
      /not a backup/,
    ],
    "a page of zeros": [
      () => Deno.writeFileSync(lab.server.path(BACKUP), good.map((byte, at) => at >> 12 === 3 ? 0 : byte)),
      /not a backup/,
    ],
    "other tables": [() => changed("DROP TABLE devices"), /other tables/],
    "a trigger": [
      () => changed("CREATE TRIGGER t AFTER DELETE ON sessions BEGIN DELETE FROM users; END"),
      /triggers/,
    ],
    "a device of no network": [
      () => changed("PRAGMA foreign_keys = OFF; DELETE FROM networks"),
      /rows are missing/,
    ],
    "a newer wgd": [() => changed("UPDATE schema_version SET version = 1000"), /of a newer wgd/],
  };
  for (const [name, [prepare, expected]] of Object.entries(cases)) {
    prepare();
    const { code, stderr } = await restore(lab, "--force");
    equal(code, 1, name);
    match(stderr, expected, name);
    ok(!stderr.includes("    at "), stderr);
    equal(await state(), before, name);
  }
});

await rootTest("backups of each earlier version can be restored", NEEDS, async () => {
  await using lab = await WebLab.create();
  for (let seen = 1; seen < STEPS.length; seen++) {
    const folder = await Deno.makeTempDir({ prefix: "wgd-backup-" });
    {
      await using database = openSqlite(`${folder}/wgd.db`);
      await migrate(database, STEPS.slice(0, seen));
      await database.run("INSERT INTO settings (key, value) VALUES ('maxDevices', '7')");
      await lab.server.sh(`rm -f ${BACKUP}`);
      await database.copyTo(`${folder}/backup`);
    }
    await Deno.copyFile(`${folder}/backup`, lab.server.path(BACKUP));
    await Deno.remove(folder, { recursive: true });
    const { code, stderr } = await restore(lab, "--force");
    equal(code, 0, stderr);
    using copy = inspect(lab, DATABASE);
    const { database } = copy;
    equal(database.prepare("SELECT version FROM schema_version").get()!.version, STEPS.length);
    equal(database.prepare("SELECT value FROM settings").get()!.value, "7");
  }
});

await rootTest("a restore that is killed leaves one of the two databases, complete", NEEDS, async () => {
  await using lab = await WebLab.start();
  equal((await backup(lab)).code, 0);
  await lab.server.sh(`mv ${BACKUP} ${BACKUP}.empty`);
  await lab.addDevice("later");
  equal((await backup(lab)).code, 0);
  await lab.server.sh(`mv ${BACKUP} ${BACKUP}.later`);
  await stop(lab);
  const words = (which: string) =>
    [...wgd, "web", "restore", `${BACKUP}.${which}`, "--data", DATA, "--force"].join(" ");
  const started = performance.now();
  await lab.server.sh(words("empty"));
  const whole = (performance.now() - started) / 1000;
  let killed = 0;
  for (let part = 0.4; part < 1.1; part += 0.05) {
    const which = part * 20 % 2 < 1 ? "later" : "empty";
    const { code } = await lab.server.run([
      "sh",
      "-c",
      `timeout -s KILL ${whole * part} ${words(which)} 2>/run/lab/said || exit 3`,
    ]);
    if (code !== 0) killed++;
    const token = [...wgd, "web", "token", "add", `after ${part}`, "--data", DATA, "--scopes", "devices"];
    const { stderr } = await lab.server.run(token);
    equal(stderr, "", "the server's database can be used");
    using copy = inspect(lab, DATABASE);
    const { database } = copy;
    equal(Object.values(database.prepare("PRAGMA integrity_check").get()!)[0], "ok");
    const devices = database.prepare("SELECT name FROM devices").all().map(({ name }) => name).join();
    ok(devices === "" || devices === "later", devices);
  }
  ok(killed > 0);
  await lab.server.sh(words("empty"));
  equal(await lab.server.sh(`ls -A ${DATA}/web`), "secrets.key\nwgd.db\nwgd.db.old\n");
});

await rootTest("a stolen backup cannot run a server for the devices or open a tunnel", NEEDS, async () => {
  await using lab = await WebLab.start();
  const phone = await lab.addDevice("phone");
  await lab.connectPhone(phone);
  ok(await lab.pings("10.8.0.1", 1, 5));
  await lab.phone.ok(...wgd, "quick", "down", "/run/lab/wg1.conf");
  equal((await backup(lab)).code, 0);
  // The thief has the phone's address in the network, and all stolen data: files and log of the web process, the
  // backup.
  const loot = "/run/lab/loot";
  await lab.phone.sh(`mkdir ${loot}`);
  for await (const { name } of Deno.readDir(lab.server.path(`${DATA}/web`))) {
    await Deno.copyFile(lab.server.path(`${DATA}/web/${name}`), lab.phone.path(`${loot}/${name}`));
  }
  await Deno.copyFile(lab.server.path(BACKUP), lab.phone.path(`${loot}/backup`));
  const thief = (...words: string[]) => lab.phone.run([...wgd, "web", ...words]);
  const data = ["--data", "/run/lab/thief"];
  const first = await thief("restore", `${loot}/backup`, ...data);
  equal(first.code, 0, first.stderr);
  match(first.stderr, /wg0: the key of the interface is not in .*\nhint: if there is no copy: .*--new-keys/);
  const start = [...wgd, "web", ...data, "--listen", "127.0.0.1:8443"];
  const keyless = await lab.phone.start(start);
  await eventually("the error", () => /there is no network at wg0/.test(keyless.output()), {
    within: 30_000,
  });
  equal(
    (await lab.phone.run(["ip", "link", "show", "wg0"])).code,
    1,
    "without its key, the interface is not made",
  );
  await keyless.signal("TERM");
  await keyless.ended;

  const second = await thief("restore", `${loot}/backup`, ...data, "--force", "--new-keys");
  equal(second.code, 0, second.stderr);
  match(second.stderr, /wg0: .*its devices need a new configuration/);
  const server = await lab.phone.start(start);
  const listens = () => server.output().includes("listening at");
  await Promise.race([
    eventually("wgd web to listen", listens, { within: 30_000 }),
    server.ended.then(() => ok(false, server.output())),
  ]);
  const peers = () => lab.phone.ok("wg", "show", "wg0", "peers");
  equal(await eventually("the peers", async () => (await peers()).trim() || undefined), phone.keys.publicKey);
  // The device itself, redirected to the thief's machine, does not accept it as the server.
  const config = phone.config.replace(
    "[Interface]\n",
    `[Interface]\nPrivateKey = ${phone.keys.privateKey}\n`,
  );
  await lab.server.sh("umask 077; cat > /run/lab/dev.conf", {
    stdin: config.replace("192.0.2.1", "192.0.2.2").replace(/AllowedIPs = .*/, "AllowedIPs = 10.8.0.1/32"),
  });
  await lab.server.sh("ip link delete wg0");
  await lab.server.ok(...wgd, "quick", "up", "/run/lab/dev.conf");
  await lab.server.run(["ping", "-c", "3", "-W", "1", "-i", "0.2", "10.8.0.1"]);
  match(await lab.server.ok("wg", "show", "dev", "latest-handshakes"), /\t0\n$/);
  match(await lab.phone.ok("wg", "show", "wg0", "latest-handshakes"), /\t0\n$/);
});
