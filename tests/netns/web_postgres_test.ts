/**
 * `wgd web` whose database is on a PostgreSQL server, from `init` to a phone that pings.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { FOLDER, runSql, startPostgres } from "./lab/postgres.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { ADMIN, DATA, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const NEEDS = { programs: WEB_PROGRAMS, peers: ["postgresql"] } as const;
const wgd = wgdCommand();
const TOKEN = ["web", "token", "add", "test", "--data", DATA, "--scopes", "devices"];

await rootTest(
  "with peer authentication no command needs a password, and the URL is named once",
  NEEDS,
  async () => {
    await using lab = await WebLab.create();
    const { server } = lab;
    // The web process runs as the user nobody here.
    await startPostgres(server, "127.0.0.1", "127.0.0.1/32", {
      hba: "local all postgres trust\nlocal all all peer map=web",
      ident: "web nobody wgd",
    });
    await runSql(server, "CREATE ROLE wgd LOGIN");
    await runSql(server, "CREATE DATABASE wgd OWNER wgd");
    const url = `postgres:///wgd?host=${FOLDER}`;
    const { code, stderr } = await lab.init(ADMIN.name, ADMIN.password, ["--database", url]);
    equal(code, 0, stderr);
    lab.token = (await server.ok(...wgd, ...TOKEN)).trim();
    await lab.run();
    const device = await lab.addDevice("phone");
    await lab.connectPhone(device);
    await eventually("the phone to ping", () => lab.pings());
    const query = "SELECT name FROM devices";
    equal(await runSql(server, query, "wgd"), "phone");

    // A second server on this machine. Its commands need the URL, or they would make a file in its folder.
    await runSql(server, "CREATE DATABASE other OWNER wgd");
    const other = ["--data", "/run/lab/other", "--database", `postgres:///other?host=${FOLDER}`];
    const [own, peer] = [generateKeys(), generateKeys()];
    await server.sh("umask 077; cat > /run/lab/wg5.conf", {
      stdin: `[Interface]\nPrivateKey = ${own.privateKey}\nAddress = 10.5.0.1/24\nListenPort = 51825\n` +
        `[Peer]\nPublicKey = ${peer.publicKey}\nAllowedIPs = 10.5.0.2/32\n`,
    });
    await server.ok(...wgd, "web", "import", "/run/lab/wg5.conf", "--endpoint", "192.0.2.1", ...other);
    equal(await runSql(server, "SELECT name FROM networks", "other"), "wg5");
    await server.ok(...wgd, "web", "backup", "--to", "/run/lab/other.backup", ...other);
    await server.sh("test ! -e /run/lab/other/web/wgd.db");
    deepEqual(
      (await server.sh(`ls ${DATA}/web`)).split("\n").filter((name) => name.includes("wgd.db")),
      [],
      "there is no SQLite file",
    );
    equal((await lab.call("DELETE", `/devices/${device.id}`)).status, 204);
    equal(await lab.pings(), false);
  },
);

await rootTest(
  "a password is read from a file, and is on no command line and in no log",
  NEEDS,
  async () => {
    await using lab = await WebLab.create();
    const { server } = lab;
    await startPostgres(server, "127.0.0.1", "127.0.0.1/32", {
      hba: "local all postgres trust\nhost all wgd 127.0.0.1/32 scram-sha-256",
    });
    await runSql(server, "CREATE ROLE wgd LOGIN PASSWORD 'hidden words'");
    await runSql(server, "CREATE DATABASE wgd OWNER wgd");
    const url = "postgres://127.0.0.1/wgd";
    const init = (url: string) => lab.init(ADMIN.name, ADMIN.password, ["--database", url]);
    const onLine = await init("postgres://wgd:hidden%20words@127.0.0.1/wgd");
    equal(onLine.code, 1);
    match(onLine.stderr, /command line/);
    match((await init(url)).stderr, /password/);
    await server.sh(`umask 077; echo "127.0.0.1:*:wgd:wgd:hidden words" > ${DATA}/web/pgpass`);
    await server.sh(`chown 65534:65534 ${DATA}/web/pgpass; chmod 644 ${DATA}/web/pgpass`);
    match((await init(url)).stderr, /others can read/);
    await server.sh(`chmod 600 ${DATA}/web/pgpass`);
    const { code, stderr } = await init(url);
    equal(code, 0, stderr);
    lab.token = (await server.ok(...wgd, ...TOKEN)).trim();
    await lab.run();
    await lab.addDevice("phone");
    const lines = await server.sh("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; done");
    ok(lines.includes("wgd") && !lines.includes("hidden"), lines);
    ok(!lab.process.output().includes("hidden"));
    ok(!(await server.sh(`cat ${DATA}/database`)).includes("hidden"));
  },
);

await rootTest(
  "a server moves from SQLite to PostgreSQL and back with a backup, and its tunnels keep working",
  NEEDS,
  async () => {
    await using lab = await WebLab.start();
    const { server } = lab;
    await startPostgres(server, "127.0.0.1", "127.0.0.1/32");
    await runSql(server, "CREATE ROLE wgd LOGIN");
    await runSql(server, "CREATE DATABASE wgd OWNER wgd");
    const url = `postgres:///wgd?host=${FOLDER}`;
    const device = await lab.addDevice("phone");
    await lab.connectPhone(device);
    await eventually("the phone to ping", () => lab.pings());
    const web = (...words: string[]) => server.run([...wgd, "web", ...words, "--data", DATA]);
    const move = async (prepare: string, ...words: string[]) => {
      await stop(lab);
      equal((await web("backup", "--to", "/run/lab/backup", "--force")).code, 0);
      await server.sh(prepare);
      const { code, stderr } = await web("restore", "/run/lab/backup", ...words);
      equal(code, 0, stderr);
      await lab.run();
      ok(await lab.pings(), "the tunnel works");
      equal((await lab.call("GET", "/devices")).body.items[0].id, device.id);
    };
    equal(
      (await web("backup", "--to", "/run/lab/running")).code,
      0,
      "a backup can be made while the server runs",
    );
    match((await web("restore", "/run/lab/running", "--database", url)).stderr, /wgd web uses/);
    await move("true", "--database", url);
    equal(await runSql(server, "SELECT name FROM devices", "wgd"), "phone");
    equal((await lab.addDevice("tablet")).config.includes("10.8.0.3"), true);
    match((await web("restore", "/run/lab/running", "--database", url)).stderr, /wgd web uses/);
    await stop(lab);
    match((await web("restore", "/run/lab/running")).stderr, /has the data of a server\nhint: .*--force/);
    equal((await web("backup", "--to", "/run/lab/backup", "--force")).code, 0);
    // The existing data is kept, and the older backup has no tablet.
    equal((await web("restore", "/run/lab/running", "--force")).code, 0);
    equal(await runSql(server, "SELECT name FROM devices", "wgd"), "phone");
    equal((await web("restore", `${DATA}/web/wgd.db.old`, "--force")).code, 0);
    equal(await runSql(server, "SELECT name FROM devices ORDER BY name", "wgd"), "phone\ntablet");
    await lab.run();
    await move(`rm ${DATA}/database`, "--force");
    deepEqual((await lab.peers()).length, 2);
  },
);

async function stop({ process }: WebLab): Promise<void> {
  await process.signal("TERM");
  await process.ended;
}
