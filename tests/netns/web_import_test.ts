/**
 * `wgd web import`: an existing server becomes a network of wgd web, without interrupting its devices.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { eventually, type Finished } from "./lab/exec.ts";
import { generateKeys, type Keys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { DATA, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const NEEDS = { programs: WEB_PROGRAMS };
const FILE = "/run/lab/wg0.conf";

const wgd = wgdCommand();

/** A server and two clients, in the form of every program. The second client is cut off. */
interface Case {
  readonly server: Keys;
  readonly phone: Keys;
  readonly laptop: Keys;
  readonly presharedKey: string;
}

function makeCase(): Case {
  const presharedKey = generateKeys().privateKey;
  return { server: generateKeys(), phone: generateKeys(), laptop: generateKeys(), presharedKey };
}

function importInto(lab: WebLab, ...words: string[]): Promise<Finished> {
  return lab.server.run([...wgd, "web", "import", ...words, "--data", DATA]);
}

async function serve(lab: WebLab): Promise<void> {
  const token = ["token", "add", "test", "--data", DATA, "--scopes", "devices"];
  lab.token = (await lab.server.ok(...wgd, "web", ...token)).trim();
  await lab.run();
  // The API answers before the interface has its peers.
  await lab.settled();
}

/** The file that the phone had before. */
async function connectPhone(lab: WebLab, { server, phone, presharedKey }: Case): Promise<void> {
  const config = `[Interface]\nAddress = 10.8.0.2/32\n\n[Peer]\nPublicKey = ${server.publicKey}\n` +
    `PresharedKey = ${presharedKey}\nAllowedIPs = 10.8.0.0/24\nEndpoint = 192.0.2.1:51820\n`;
  await lab.connectPhone({ config, keys: phone });
}

/** Brings the server's interface up by its file, with the phone connected. */
async function bringUp(lab: WebLab, keys: Case): Promise<void> {
  await lab.server.sh(`umask 077; cat > ${FILE}`, {
    stdin: serverFile(keys).replace("SaveConfig = true\n", ""),
  });
  await lab.server.ok(...wgd, "quick", "up", FILE);
  await connectPhone(lab, keys);
  ok(await lab.pings("10.8.0.1", 1, 5));
}

async function devices(lab: WebLab): Promise<[string, string[], string][]> {
  const { body: { items } } = await lab.call("GET", "/devices");
  return items.map((
    { name, addresses, state }: { name: string; addresses: string[]; state: string },
  ) => [name, addresses, state]);
}

function serverFile({ server, phone, laptop, presharedKey }: Case): string {
  return `[Interface]\nPrivateKey = ${server.privateKey}\nListenPort = 51820\nAddress = 10.8.0.1/24\n` +
    `SaveConfig = true\n\n# Name = Anna's phone\n[Peer]\nPublicKey = ${phone.publicKey}\n` +
    `PresharedKey = ${presharedKey}\nAllowedIPs = 10.8.0.2/32\n\n[Peer]\nPublicKey = ${laptop.publicKey}\n` +
    `AllowedIPs = 10.8.0.3/32\n`;
}

await rootTest("a running interface is imported without the loss of a packet", NEEDS, async () => {
  await using lab = await WebLab.create();
  const keys = makeCase();
  await bringUp(lab, keys);
  await lab.phone.ok("ping", "-f", "-q", "-c", "500", "-s", "1300", "10.8.0.1");
  const [, before] = (await lab.server.ok("wg", "show", "wg0", "transfer")).split("\n")
    .map((line) => line.split("\t")).find(([key]) => key === keys.phone.publicKey)!;
  ok(Number(before) > 600_000, before);
  const ping = lab.phone.start(["ping", "-i", "0.1", "-W", "2", "10.8.0.1"]);

  const planned = await importInto(lab, "wg0", "--config", FILE, "--endpoint", "192.0.2.1", "--dry-run");
  equal(planned.code, 0, planned.stderr);
  match(
    planned.stdout,
    /^would import wg0 \(10\.8\.0\.1\/24, UDP port 51820\)\n {2}Anna's phone {2}10\.8\.0\.2\n/,
  );
  equal((await lab.server.run(["ls", DATA])).code, 2, "a dry run does not make the folder");
  const done = await importInto(lab, "wg0", "--config", FILE, "--endpoint", "192.0.2.1");
  equal(done.code, 0, done.stderr);
  await serve(lab);
  deepEqual(await devices(lab), [["10.8.0.3", ["10.8.0.3"], "never"], [
    "Anna's phone",
    ["10.8.0.2"],
    "online",
  ]]);
  deepEqual(await lab.peers(), [keys.phone.publicKey, keys.laptop.publicKey].sort());
  match(await lab.server.ok("wg", "show", "wg0", "preshared-keys"), /\(none\)/);
  await eventually("the first record of the counters", async () => {
    const [, phone] = (await lab.call("GET", "/devices")).body.items;
    const { points } = (await lab.call("GET", `/devices/${phone.id}/traffic?span=hour`)).body;
    const sum = points.reduce((sum: number, [, rx]: number[]) => sum + rx!, 0);
    ok(sum < Number(before), `${sum} bytes in this hour, of which ${before} were before`);
    return sum > 0 && phone.rxBytes >= Number(before) + sum;
  });
  const added = await lab.addDevice("later");
  match(added.config, /Address = 10\.8\.0\.4\/32/);

  const { pid, ended, output, signal } = await ping;
  ok(pid > 0);
  await signal("INT");
  await ended;
  match(output(), / 0% packet loss/);
  const again = await importInto(lab, "wg0", "--endpoint", "192.0.2.1");
  equal(again.code, 1);
  match(again.stderr, /a network named wg0 already exists/);
});

await rootTest("a file with conflicts is refused, and each is printed", NEEDS, async () => {
  await using lab = await WebLab.create();
  const keys = makeCase();
  const more =
    `\n[Peer]\nPublicKey = ${generateKeys().publicKey}\nAllowedIPs = 10.8.0.2/32, 192.168.7.0/24\n` +
    `\n[Peer]\nPublicKey = ${generateKeys().publicKey}\nAllowedIPs = 10.8.0.5/32, 192.168.0.0/16\n` +
    `\n[Peer]\nPublicKey = ${generateKeys().publicKey}\nAllowedIPs = 10.8.0.6/32, 0.0.0.0/0\n` +
    `\n[Peer]\nPublicKey = ${generateKeys().publicKey}\nAllowedIPs = 10.8.0.7/32, 10.8.0.128/25\n` +
    `\n[Peer]\nPublicKey = ${generateKeys().publicKey}\nAllowedIPs = 10.9.0.2/32\n`;
  await lab.server.sh(`umask 077; cat > ${FILE}`, { stdin: serverFile(keys) + more });
  const { code, stderr } = await importInto(lab, FILE);
  equal(code, 1);
  match(stderr, /nothing was changed/);
  match(stderr, /10\.8\.0\.2\/32 is also the address of Anna's phone/);
  match(stderr, /192\.168\.0\.0\/16 overlaps 192\.168\.7\.0\/24 of \S{44}$/m);
  match(stderr, /0\.0\.0\.0\/0 is not a network behind a device: its prefix is too short/);
  match(stderr, /10\.8\.0\.128\/25 overlaps 10\.8\.0\.0\/24 of the server/);
  match(stderr, /10\.9\.0\.2\/32 is not in 10\.8\.0\.0\/24/);
  match(stderr, /--endpoint HOST/);
  equal((await lab.server.run(["ls", DATA])).code, 2);
});

await rootTest(
  "networks behind imported peers are reached, after each start, until they are taken away",
  NEEDS,
  async () => {
    await using lab = await WebLab.create();
    const keys = makeCase();
    const text = serverFile(keys).replace("10.8.0.2/32", "10.8.0.2/32, 192.168.7.0/24, fd07::/64");
    await lab.server.sh(`umask 077; cat > ${FILE}`, { stdin: text });
    const { code, stdout, stderr } = await importInto(lab, FILE, "--endpoint", "192.0.2.1");
    equal(code, 0, stderr);
    match(stdout, /Anna's phone {2}10\.8\.0\.2, 192\.168\.7\.0\/24, fd07::\/64$/m);
    await lab.phone.sh("ip address add 192.168.7.1/24 dev lo");
    await serve(lab);
    await connectPhone(lab, keys);
    const reaches = async () =>
      (await lab.server.run(["ping", "-c", "1", "-W", "2", "-I", "10.8.0.1", "192.168.7.1"])).code === 0;
    ok(await lab.pings("10.8.0.1", 1, 5));
    ok(await reaches());
    const phone = async () => (await lab.call("GET", "/devices?search=192.168.7")).body.items[0];
    const { id, routedNetworks } = await phone();
    deepEqual(routedNetworks, ["192.168.7.0/24", "fd07::/64"]);
    const routes = () => lab.server.sh("ip route show dev wg0; ip -6 route show dev wg0");
    match(await routes(), /^192\.168\.7\.0\/24 .*\n[^]*^fd07::\/64 /m);
    await lab.server.ok(...wgd, "quick", "down", `${DATA}/keeper/wg0.conf`);
    await lab.server.ok(...wgd, "quick", "up", `${DATA}/keeper/wg0.conf`);
    await eventually("the routes", async () => /192\.168\.7/.test(await routes()), { within: 5_000 });

    // A device that is cut off does not lead packets elsewhere.
    equal((await lab.call("PATCH", `/devices/${id}`, { disabled: true })).status, 200);
    match(await routes(), /192\.168\.7/);
    equal(await reaches(), false);
    equal((await lab.call("PATCH", `/devices/${id}`, { routedNetworks: [] })).status, 403);
    equal((await lab.call("DELETE", `/devices/${id}`)).status, 204);
    ok(!/192\.168\.7|fd07/.test(await routes()), await routes());
  },
);

await rootTest("a running server serves an imported network without a restart", NEEDS, async () => {
  await using lab = await WebLab.start();
  const keys = makeCase();
  const text = serverFile(keys).replaceAll("10.8.0.", "10.7.0.").replace("51820", "51825");
  await lab.server.sh(`umask 077; cat > /run/lab/wg5.conf`, { stdin: text });
  const done = await importInto(lab, "/run/lab/wg5.conf", "--endpoint", "192.0.2.1");
  equal(done.code, 0, done.stderr);
  match(done.stderr, /the running server now serves wg5/);
  const peers = async () =>
    (await lab.server.ok("wg", "show", "wg5", "peers")).split("\n").filter(Boolean).sort();
  deepEqual(await peers(), [keys.phone.publicKey, keys.laptop.publicKey].sort());
  const later = generateKeys();
  const body = { network: "wg5", name: "later", publicKey: later.publicKey };
  const added = await lab.call("POST", "/devices", body);
  equal(added.status, 201, JSON.stringify(added.body));
  match(added.body.config, /Address = 10\.7\.0\.4\/32/);
  deepEqual(await peers(), [keys.phone.publicKey, keys.laptop.publicKey, later.publicKey].sort());
  await lab.stop();
  await lab.run();
  equal((await peers()).length, 3);
});

await rootTest("a running server: an imported disabled device can be enabled", NEEDS, async () => {
  await using lab = await WebLab.start();
  const { server, phone, laptop, presharedKey } = makeCase();
  const client = (id: number, name: string, keys: Keys, expiresAt: string, enabled: number) =>
    `INSERT INTO clients_table VALUES (${id}, 1, 'wg5', '${name}', '10.7.0.${id}', 'fdcc::${id}', ` +
    `'${keys.privateKey}', '${keys.publicKey}', '${presharedKey}', ${expiresAt}, '[]', ${enabled});`;
  const clients = client(2, "phone", phone, "NULL", 0) + client(3, "laptop", laptop, "'2020-01-01 00:00'", 1);
  await writeDatabase(lab, "/run/lab/wg-easy.db", wgEasy("wg5", "10.7.0.0/24", 51_825, server) + clients);
  const done = await importInto(lab, "/run/lab/wg-easy.db", "--network", "wg5");
  equal(done.code, 0, done.stderr);
  const peers = async () =>
    (await lab.server.ok("wg", "show", "wg5", "peers")).split("\n").filter(Boolean).sort();
  deepEqual(await peers(), []);
  const { items } = (await lab.call("GET", "/devices?network=wg5")).body;
  for (const { id, name } of items) {
    const change = name === "phone" ? { disabled: false } : { expiresAt: null };
    equal((await lab.call("PATCH", `/devices/${id}`, change)).status, 200);
  }
  deepEqual(await peers(), [phone.publicKey, laptop.publicKey].sort());
});

await rootTest("a killed import leaves nothing, and the interface runs on", NEEDS, async () => {
  await using lab = await WebLab.create();
  const keys = makeCase();
  await bringUp(lab, keys);
  const importing = ["wg0", "--config", FILE, "--endpoint", "192.0.2.1"];
  equal((await importInto(lab, ...importing)).code, 0);
  // As after a kill between the keeper's files and the store.
  const local = await Deno.makeTempFile({ prefix: "wgd-import-" });
  try {
    await Deno.copyFile(lab.server.path(`${DATA}/web/wgd.db`), local);
    {
      using database = new DatabaseSync(local);
      database.exec("PRAGMA foreign_keys = ON; DELETE FROM networks");
    }
    await Deno.copyFile(local, lab.server.path(`${DATA}/web/wgd.db`));
  } finally {
    await Deno.remove(local);
  }
  await lab.server.sh(`printf adopted > ${DATA}/keeper/wg0.unsettled`);
  await serve(lab);
  equal((await lab.server.ok("ls", `${DATA}/keeper`)).includes("wg0"), false);
  ok(await lab.pings("10.8.0.1", 2, 5), "the interface does not belong to wgd web, so it stays");
  const done = await importInto(lab, ...importing);
  equal(done.code, 0, done.stderr);
  equal((await devices(lab)).length, 2);
  ok(await lab.pings("10.8.0.1", 2, 5));
});

/** Writes what a program has on disk. @returns What to import. */
type Write = (lab: WebLab, keys: Case) => Promise<string[]>;

async function write(lab: WebLab, path: string, content: unknown): Promise<void> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  await lab.server.sh(`umask 077; mkdir -p $(dirname ${path}); cat > ${path}`, { stdin: text });
}

/** Makes a database by SQL. */
async function writeDatabase(lab: WebLab, path: string, sql: string): Promise<void> {
  const local = await Deno.makeTempFile({ prefix: "wgd-import-" });
  {
    using database = new DatabaseSync(local);
    database.exec(sql);
  }
  await Deno.copyFile(local, lab.server.path(path));
  await Deno.remove(local);
}

/** The database of wg-easy 15, without clients. */
function wgEasy(name: string, subnet: string, port: number, { privateKey, publicKey }: Keys): string {
  return `CREATE TABLE interfaces_table (name TEXT, port INTEGER, private_key TEXT, public_key TEXT, ipv4_cidr TEXT,
      ipv6_cidr TEXT, mtu INTEGER);
    CREATE TABLE user_configs_table (id TEXT, default_persistent_keepalive INTEGER, default_dns TEXT,
      default_allowed_ips TEXT, host TEXT, port INTEGER);
    CREATE TABLE clients_table (id INTEGER, user_id INTEGER, interface_id TEXT, name TEXT, ipv4_address TEXT,
      ipv6_address TEXT, private_key TEXT, public_key TEXT, pre_shared_key TEXT, expires_at TEXT,
      server_allowed_ips TEXT, enabled INTEGER);
    INSERT INTO interfaces_table VALUES ('${name}', ${port}, '${privateKey}', '${publicKey}', '${subnet}', 'fdcc::/112',
      1420);
    INSERT INTO user_configs_table VALUES ('${name}', 0, '["1.1.1.1"]', '["0.0.0.0/0"]', '192.0.2.1', ${port});`;
}

const SOURCES: Record<string, Write> = {
  // https://github.com/wg-easy/wg-easy/blob/v14/src/lib/WireGuard.js
  "wg-easy 14": async (lab, { server, phone, laptop, presharedKey }) => {
    const client = (name: string, address: string, keys: Keys, enabled: boolean) => ({
      ...{ id: name, name, address, ...keys, preSharedKey: presharedKey, enabled },
      ...{ createdAt: "2024-01-01T00:00:00.000Z", updatedAt: "2024-01-01T00:00:00.000Z" },
    });
    await write(lab, "/run/lab/wg0.json", {
      server: { ...server, address: "10.8.0.1" },
      clients: {
        a: client("phone", "10.8.0.2", phone, true),
        b: client("laptop", "10.8.0.3", laptop, false),
      },
    });
    return ["/run/lab/wg0.json", "--endpoint", "192.0.2.1"];
  },
  // https://github.com/wg-easy/wg-easy/tree/master/src/server/database/migrations
  "wg-easy 15": async (lab, { server, phone, laptop, presharedKey }) => {
    const client = (id: number, name: string, keys: Keys, enabled: number) =>
      `INSERT INTO clients_table VALUES (${id}, 1, 'wg0', '${name}', '10.8.0.${id}', 'fdcc::${id}', ` +
      `'${keys.privateKey}', '${keys.publicKey}', '${presharedKey}', NULL, '[]', ${enabled});`;
    await writeDatabase(
      lab,
      "/run/lab/wg-easy.db",
      wgEasy("wg0", "10.8.0.0/24", 51_820, server) +
        client(2, "phone", phone, 1) + client(3, "laptop", laptop, 0),
    );
    return ["/run/lab/wg-easy.db"];
  },
  // https://github.com/ngoduykhanh/wireguard-ui/tree/master/model
  "wireguard-ui": async (lab, { server, phone, laptop, presharedKey }) => {
    const db = "/run/lab/db";
    await write(lab, `${db}/server/keypair.json`, {
      private_key: server.privateKey,
      public_key: server.publicKey,
    });
    await write(lab, `${db}/server/interfaces.json`, { addresses: ["10.8.0.1/24"], listen_port: "51820" });
    await write(lab, `${db}/server/global_settings.json`, {
      ...{ endpoint_address: "192.0.2.1", dns_servers: ["1.1.1.1"], mtu: "1450", persistent_keepalive: "15" },
      ...{ firewall_mark: "0xca6c", table: "auto", config_file_path: "/etc/wireguard/wg0.conf" },
    });
    const client = (name: string, address: string, keys: Keys, enabled: boolean) =>
      write(lab, `${db}/clients/${name}.json`, {
        ...{
          id: name,
          private_key: keys.privateKey,
          public_key: keys.publicKey,
          preshared_key: presharedKey,
        },
        ...{
          name,
          allocated_ips: [`${address}/32`],
          allowed_ips: ["0.0.0.0/0"],
          extra_allowed_ips: null,
          enabled,
        },
      });
    await client("phone", "10.8.0.2", phone, true);
    await client("laptop", "10.8.0.3", laptop, false);
    return [db];
  },
  // https://github.com/donaldzou/WGDashboard/blob/main/src/modules/WireguardConfiguration.py
  "WGDashboard": async (lab, keys) => {
    const { phone, laptop, presharedKey } = keys;
    await write(lab, FILE, serverFile(keys).replace(/\n\[Peer\]\n(?![^]*\[Peer\])[^]*$/, ""));
    const columns =
      "id TEXT, private_key TEXT, DNS TEXT, endpoint_allowed_ip TEXT, name TEXT, allowed_ip TEXT, " +
      "keepalive INTEGER, remote_endpoint TEXT, preshared_key TEXT";
    const row = (table: string, name: string, address: string, { privateKey, publicKey }: Keys) =>
      `INSERT INTO ${table} VALUES ('${publicKey}', '${privateKey}', '1.1.1.1', '0.0.0.0/0', '${name}', ` +
      `'${address}/32', 21, '192.0.2.1', '${presharedKey}');`;
    await writeDatabase(
      lab,
      "/run/lab/wgdashboard.db",
      `CREATE TABLE wg0 (${columns}); CREATE TABLE wg0_restrict_access (${columns});` +
        row("wg0", "phone", "10.8.0.2", phone) + row("wg0_restrict_access", "laptop", "10.8.0.3", laptop),
    );
    return ["/run/lab/wgdashboard.db", "--config", FILE];
  },
};

for (const [name, prepare] of Object.entries(SOURCES)) {
  await rootTest(`the devices of ${name} connect with the files they have`, NEEDS, async () => {
    await using lab = await WebLab.create();
    const keys = makeCase();
    const words = await prepare(lab, keys);
    const { code, stderr } = await importInto(lab, ...words);
    equal(code, 0, stderr);
    match(stderr, /2 private keys of devices were not imported/);
    await serve(lab);
    const found = (await devices(lab)).map(([name, [address], state]) => [name, address, state]);
    deepEqual(found, [["laptop", "10.8.0.3", "disabled"], ["phone", "10.8.0.2", "never"]]);
    deepEqual(await lab.peers(), [keys.phone.publicKey]);
    await connectPhone(lab, keys);
    ok(await lab.pings("10.8.0.1", 3, 5));
    const found_ = await lab.server.run(
      ["grep", "-rlFe", keys.phone.privateKey, "-e", keys.laptop.privateKey, DATA],
    );
    equal(found_.stdout, "", "no private key of a device is stored");
  });
}
