/**
 * `wgd web` with real parts: devices connect with the files that they got and are cut off. Parts of the server are
 * killed.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { PingStream } from "./lab/traffic.ts";
import { wgdCommand, wgdCommandAs } from "./lab/tunnel.ts";
import { ADDRESS, ADMIN, DATA, METRICS, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const NEEDS = { programs: WEB_PROGRAMS };

await rootTest(
  "a device added by the API connects, and is cut off at once when it is removed",
  NEEDS,
  async () => {
    await using lab = await WebLab.start();
    const device = await lab.addDevice("Anna's phone");
    ok(!device.config.includes("PrivateKey") && device.config.includes("PresharedKey"), device.config);
    await lab.connectPhone(device);
    ok(await lab.pings("10.8.0.1", 2, 5));
    ok(await lab.pings("fd08::1", 2, 5));

    const list = await lab.call("GET", "/devices?search=anna");
    equal(list.body.total, 1);
    deepEqual(list.body.items[0].addresses, ["10.8.0.2", "fd08::2"]);

    equal((await lab.call("DELETE", `/devices/${device.id}`)).status, 204);
    deepEqual(await lab.peers(), []);
    equal(await lab.pings(), false);
    equal((await lab.call("GET", `/devices/${device.id}`)).status, 404);
  },
);

await rootTest("a device that is disabled or expires is cut off, and can return", NEEDS, async () => {
  await using lab = await WebLab.start();
  const device = await lab.addDevice("phone");
  await lab.connectPhone(device);
  ok(await lab.pings("10.8.0.1", 1, 5));
  const change = async (body: unknown) => {
    const { status, body: { state } } = await lab.call("PATCH", `/devices/${device.id}`, body);
    equal(status, 200);
    return state;
  };
  equal(await change({ disabled: true }), "disabled");
  deepEqual(await lab.peers(), []);
  equal(await lab.pings(), false);

  equal(await change({ disabled: false }), "never");
  deepEqual(await lab.peers(), [device.keys.publicKey]);
  // The phone begins a new session when it gets no answer (15 s). A new interface does this at once.
  await lab.phone.sh(
    "ip link set wg1 down; ip link set wg1 up; ip address replace 10.8.0.2/32 dev wg1; " +
      "ip route replace 10.8.0.0/24 dev wg1",
  );
  await eventually("the phone to connect again", () => lab.pings(), { within: 25_000 });

  const at = Date.now() + 1_500;
  await change({ expiresAt: new Date(at).toISOString() });
  deepEqual(await lab.peers(), [device.keys.publicKey]);
  await eventually("the device to expire", async () => (await lab.peers()).length === 0, { within: 5_000 });
  ok(Date.now() - at < 1_500, `cut off ${Date.now() - at} ms after it expired`);
  equal((await lab.call("GET", `/devices/${device.id}`)).body.state, "expired");
});

await rootTest(
  "an interface that was down has the store's devices as soon as it is up",
  NEEDS,
  async () => {
    await using lab = await WebLab.start();
    const [stays, goes] = [await lab.addDevice("phone"), await lab.addDevice("tablet")];
    const file = `${DATA}/keeper/wg0.conf`;
    const hasDevices = async (...devices: { keys: { publicKey: string } }[]) => {
      const wanted = devices.map(({ keys }) => keys.publicKey).sort().join();
      await eventually("its devices", async () => (await lab.peers()).join() === wanted, { within: 5_000 });
    };
    await lab.server.ok(...wgdCommand(), "quick", "down", file);
    equal((await lab.call("PATCH", `/devices/${goes.id}`, { disabled: true })).status, 202);
    // The pauses between retries grow meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await lab.server.ok(...wgdCommand(), "quick", "up", file);
    await hasDevices(stays);

    // Nothing has failed this time, so nothing is retried.
    await lab.server.ok(...wgdCommand(), "quick", "down", file);
    await lab.server.ok(...wgdCommand(), "quick", "up", file);
    await hasDevices(stays);
    await lab.settled(5_000);
  },
);

await rootTest(
  "the web process is killed under load: no address is assigned twice, no device is lost, tunnels keep working",
  NEEDS,
  async () => {
    await using lab = await WebLab.start();
    const phone = await lab.addDevice("phone");
    await lab.connectPhone(phone);
    ok(await lab.pings("10.8.0.1", 1, 5));
    const pings = await PingStream.start(lab.phone, "10.8.0.1", 0.2);

    const answered: string[] = [phone.keys.publicKey];
    const browser = lab.browser("admin");
    equal((await browser("POST", "/sign-in", ADMIN)).status, 200);
    let killed = false;
    const add = async (worker: number) => {
      for (let n = 0, added = 0; n < 1_000 && !(killed && added >= 4); n++) {
        const { publicKey } = generateKeys();
        const body = { network: "wg0", name: `${worker}-${n}`, publicKey };
        // A request that the kill cuts off has no response. The device may exist or not.
        const status = await lab.call("POST", "/devices", body).then(({ status }) => status, () => 0);
        if (status === 201) {
          answered.push(publicKey);
          added++;
        } else await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    const load = Promise.all([1, 2, 3, 4].map(add));
    for (let kill = 0; kill < 2; kill++) {
      const had = answered.length;
      await eventually("devices to be added", () => answered.length >= had + 4, { within: 30_000 });
      const before = lab.process.output().split("listening at").length;
      // The web process is the child of `wgd web`, which is the keeper.
      await lab.server.sh(`kill -9 $(pgrep -P ${lab.process.pid} -f ' web ' | head -1)`);
      await eventually(
        "the web process to start again",
        () => lab.process.output().split("listening at").length > before,
        { within: 30_000 },
      );
      const me = await browser("GET", "/me");
      deepEqual([me.status, me.body.user?.name], [200, ADMIN.name], "the session outlives the process");
    }
    killed = true;
    await load;
    await lab.settled();
    const { body: { items, total } } = await lab.call("GET", "/devices?limit=200");
    const keys: string[] = items.map(({ publicKey }: { publicKey: string }) => publicKey);
    equal(keys.length, total);
    for (const key of answered) ok(keys.includes(key), "a device that the response confirmed is stored");
    ok(answered.length > 10, `${answered.length} devices were added`);
    const addresses: string[] = items.flatMap(({ addresses }: { addresses: string[] }) => addresses);
    equal(new Set(addresses).size, addresses.length, "no two devices have one address");
    equal(addresses.length, 2 * total);
    deepEqual(await lab.peers(), keys.sort(), "the interface has exactly the devices of the store");
    deepEqual((await pings.stop()).lost, []);
  },
);

await rootTest("a stolen database, log and backup open no tunnel", NEEDS, async () => {
  await using lab = await WebLab.start();
  const device = await lab.addDevice("phone");
  await lab.connectPhone(device);
  ok(await lab.pings("10.8.0.1", 1, 5));
  const secrets = [
    device.keys.privateKey,
    (await lab.server.ok("wg", "show", "wg0", "private-key")).trim(),
    (await lab.server.ok("wg", "show", "wg0", "preshared-keys")).split("\t")[1]!.trim(),
    JSON.parse(await lab.server.sh(`cat ${DATA}/keeper/wg0.secret.json`)).secret,
    lab.token,
  ];
  // All that the web process can read, and all of its output.
  const folder = lab.server.path(`${DATA}/web`);
  const stolen = [new TextEncoder().encode(lab.process.output())];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile) stolen.push(await Deno.readFile(`${folder}/${name}`));
  }
  ok(stolen.length > 2);
  const text = stolen.map((bytes) => Buffer.from(bytes).toString("latin1")).join("\n");
  for (const secret of secrets) {
    const bytes = Buffer.from(secret, "base64");
    for (
      const form of [secret, bytes.toString("latin1"), bytes.toString("hex"), bytes.toString("base64url")]
    ) {
      ok(!text.includes(form), `the stolen files contain secret number ${secrets.indexOf(secret)}`);
    }
  }
  // With this data, another computer takes the device's place, but without its private key.
  await lab.phone.sh("ip link delete wg1");
  const thief = generateKeys();
  const known = device.config.replace(/PresharedKey = .*\n/, "");
  await lab.connectPhone({ config: known, keys: thief });
  equal(await lab.pings("10.8.0.1", 2, 1), false);
  equal((await lab.server.ok("wg", "show", "wg0", "latest-handshakes")).includes(thief.publicKey), false);

  equal(
    (await lab.server.sh(
      `stat -c '%a %u' ${DATA}/keeper ${DATA}/keeper/wg0.conf ${DATA}/web ${DATA}/web/wgd.db`,
    )).trim(),
    "700 0\n600 0\n700 65534\n600 65534",
  );
  const child = (await lab.server.sh(`pgrep -P ${lab.process.pid} -f ' web ' | head -1`)).trim();
  match(
    await lab.server.sh(`cat /proc/${child}/status`),
    /^Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t/m,
  );
});

await rootTest(
  "a new server is set up by its link, once, and reports its health",
  NEEDS,
  async () => {
    await using lab = await WebLab.create();
    const { code, stderr } = await lab.init("anna", "aaaaaaaaaaaa");
    equal(code, 1);
    match(
      stderr,
      /^wgd: the password in .* cannot be used: a password has at least four different characters$/m,
    );
    await lab.run();
    const token = await eventually(
      "the setup link",
      () => Promise.resolve(/\/setup#(\S+)/.exec(lab.process.output())?.[1]),
    );
    deepEqual((await lab.call("GET", "/setup")).body, { needed: true });
    const body = {
      token,
      admin: { name: "anna", password: "a long password" },
      network: { name: "wg0", address: "10.8.0.1/24", endpoint: "192.0.2.1" },
    };
    const origin = [`Origin: https://${ADDRESS}`];
    equal((await lab.call("POST", "/setup", { ...body, token: "made up" }, origin)).status, 403);
    equal((await lab.call("POST", "/setup", body)).status, 403, "a page of another site is refused");
    const [first, second] = await Promise.all([
      lab.call("POST", "/setup", body, origin),
      lab.call("POST", "/setup", body, origin),
    ]);
    deepEqual([first.status, second.status].sort(), [200, 403], JSON.stringify([first.body, second.body]));
    match(await lab.server.ok("wg", "show", "wg0"), /listening port: 51820/);
    equal((await lab.call("GET", "/setup")).body.needed, false);

    // The interface that has come up is compared in the background.
    await lab.settled();
    const metrics = await lab.server.ok("curl", "-sS", `http://${METRICS}/metrics`);
    match(metrics, /^wgd_devices\{network="wg0",state="online"\} 0$/m);
    match(metrics, /^wgd_certificate_expiry_timestamp_seconds \d{10}$/m);
    match(metrics, /^wgd_http_responses_total\{status="2xx"\} \d+$/m);
  },
);

await rootTest("keeper and web process run separately, as services", NEEDS, async () => {
  await using lab = await WebLab.create();
  equal((await lab.init(ADMIN.name, ADMIN.password)).code, 0);
  const keeper = await lab.server.start([...wgdCommand(), "keeper", "--data", DATA]);
  await eventually("the keeper", () => lab.server.sh(`test -S ${DATA}/keeper.sock && echo yes`));
  const web = await wgdCommandAs(65534, lab.server);
  const low = await lab.server.run([...web, "web", "--data", DATA]);
  equal(low.code, 1);
  match(
    low.stderr,
    /^wgd: listening at \[::\]:443 failed: permission denied\nhint: give CAP_NET_BIND_SERVICE/m,
  );
  lab.process = await lab.server.start([...web, "web", "--data", DATA, "--listen", ADDRESS]);
  await eventually("wgd web to listen", () => /listening at/.test(lab.process.output()), { within: 30_000 });
  const admin = lab.browser("admin");
  equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
  const { publicKey } = generateKeys();
  const added = await admin("POST", "/devices", { network: "wg0", name: "phone", publicKey });
  equal(added.status, 201, JSON.stringify(added.body));
  deepEqual(await lab.peers(), [publicKey]);
  match(
    await lab.server.ok("curl", "-sS", "--cacert", `${DATA}/ca.pem`, `https://${ADDRESS}/`),
    /<script type="module"/,
  );
  // A keeper that does not answer does not keep the web process from ending.
  await keeper.signal("STOP");
  const removal = admin("DELETE", `/devices/${added.body.id}`).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  let ended = false;
  void lab.process.ended.then(() => ended = true);
  await lab.process.signal("TERM");
  await eventually("the end of the web process", () => ended, { within: 30_000 });
  await removal;
  await keeper.signal("CONT");
});

await rootTest("many devices: the page works before the interface has all of them", NEEDS, async () => {
  await using lab = await WebLab.createLarge(20_000);
  const peers = async () =>
    new Set((await lab.server.ok("wg", "show", "wg0", "peers")).split("\n").filter(Boolean));
  for (const isRestart of [false, true]) {
    await lab.run();
    equal(await lab.health(), "ok, but the interfaces do not have all devices yet\n");
    const before = (await lab.call("GET", "/devices?state=idle&limit=5")).body;
    const added = await lab.addDevice("new");
    for (const { id } of before.items) equal((await lab.call("DELETE", `/devices/${id}`)).status, 204);
    // The test's requests ran before the interface had all devices.
    match(await lab.health(), /not have all devices yet/);
    await lab.settled();
    const now = await peers();
    const removed = isRestart ? 10 : 5;
    equal(now.size, 20_000 - 400 - removed + (isRestart ? 2 : 1));
    equal(now.has(added.keys.publicKey), true);
    for (const { publicKey } of before.items) equal(now.has(publicKey), false);
    await lab.stop();
  }
});
