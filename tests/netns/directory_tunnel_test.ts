/**
 * From a directory to a tunnel and back: a person signs in, adds a device, is connected, and is removed in the directory.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { eventually, sleep } from "./lab/exec.ts";
import { OPENLDAP, READER, TestDirectory } from "./lab/directory.ts";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const DATA = "/run/lab/data";
const ORIGIN = "https://127.0.0.1:8443";

/** A person with a browser on the server's host: curl with a file of cookies. */
function browser(host: Host, cookies: string) {
  return async (method: string, path: string, body?: unknown) => {
    const data = body === undefined ? [] : ["--json", JSON.stringify(body)];
    const jar = ["-b", cookies, "-c", cookies, "-H", `Origin: ${ORIGIN}`, "--cacert", `${DATA}/ca.pem`];
    const words = [
      "curl",
      "-sS",
      "-X",
      method,
      ...jar,
      ...data,
      "-w",
      "\n%{http_code}",
      `${ORIGIN}/api/v1${path}`,
    ];
    const lines = (await host.ok(...words)).split("\n");
    const status = Number(lines.pop());
    const text = lines.join("\n");
    return { status, body: /^[{[]/.test(text) ? JSON.parse(text) : text };
  };
}

await rootTest(
  "who is removed in the directory loses the tunnel within a minute, and an outage takes nobody's",
  { peers: ["slapd"], programs: ["curl", "openssl", "ping"] },
  async () => {
    await using network = await Network.create("server", "phone");
    const [server, phone] = network.hosts;
    await connect(
      { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
      { host: phone, name: "eth0", addresses: ["192.0.2.2/24"] },
    );
    await using directory = await TestDirectory.start(server);
    const dns = [await directory.addPerson("anna"), await directory.addPerson("bert")];
    await directory.addGroup("staff", dns);

    await server.sh("cat > /run/lab/password", { stdin: "a long password\n" });
    await server.ok(
      ...[...wgd, "web", "init", "--data", DATA, "--network", "wg0", "--address", "10.8.0.1/24"],
      ...["--endpoint", "192.0.2.1:51820", "--admin", "root", "--password-file", "/run/lab/password"],
    );
    const process = await server.start([...wgd, "web", "--data", DATA, "--listen", "127.0.0.1:8443"]);
    await eventually("wgd web to listen", () => /listening at/.test(process.output()));

    const admin = browser(server, "/run/lab/root.cookies");
    const first = await admin("POST", "/sign-in", { name: "root", password: "a long password" });
    equal(first.status, 200, `${JSON.stringify(first.body)} ${process.output()}`);
    const provider = (await admin("POST", "/providers", {
      kind: "ldap",
      name: "House",
      settings: {
        url: directory.secureUrl,
        ca: directory.ca,
        shape: "openldap",
        bindDn: READER.dn,
        baseDn: OPENLDAP,
      },
      secret: READER.password,
    })).body;
    equal(
      (await admin("POST", "/groups", { name: "staff", provider: provider.id, networks: ["wg0"] })).status,
      201,
    );

    const anna = browser(server, "/run/lab/anna.cookies");
    const signedIn = await anna("POST", "/sign-in", { name: "anna", password: "anna secret" });
    equal(signedIn.status, 200, JSON.stringify(signedIn.body));
    const keys = generateKeys();
    const added = await anna("POST", "/me/devices", {
      network: "wg0",
      name: "phone",
      publicKey: keys.publicKey,
    });
    equal(added.status, 201, JSON.stringify(added.body));
    await phone.sh("umask 077; cat > /run/lab/wg1.conf", {
      stdin: added.body.config.replace("[Interface]\n", `[Interface]\nPrivateKey = ${keys.privateKey}\n`),
    });
    await phone.ok(...wgd, "quick", "up", "/run/lab/wg1.conf");
    await phone.ok("ping", "-c", "2", "-W", "5", "10.8.0.1");

    const pings = async () => (await phone.run(["ping", "-c", "1", "-W", "1", "10.8.0.1"])).code === 0;
    await directory.pause();
    for (let seconds = 0; seconds < 25; seconds += 5) {
      await sleep(5_000);
      ok(await pings(), "the directory was away");
    }
    equal((await admin("GET", `/providers/${provider.id}`)).body.sync.state, "failed");
    await directory.resume();

    await directory.change(OPENLDAP, (client) => client.del(dns[0]!));
    const removed = performance.now();
    while (await pings()) {
      ok(performance.now() - removed < 60_000, "the tunnel was still there after a minute");
      await sleep(200);
    }
    console.log(`cut ${((performance.now() - removed) / 1_000).toFixed(1)} s after the removal`);
    equal((await anna("GET", "/me")).status, 401);
    equal((await admin("GET", "/devices")).body.items[0].reason, "user-disabled");
  },
);
