/**
 * From a directory to a tunnel and back: a person signs in, adds a device, connects, and is removed from the directory.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { sleep } from "./lab/exec.ts";
import { OPENLDAP, READER, TestDirectory } from "./lab/directory.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { ADMIN, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

await rootTest(
  "who is removed in the directory loses the tunnel within a minute, and an outage takes nobody's",
  { peers: ["slapd"], programs: [...WEB_PROGRAMS, "openssl"] },
  async () => {
    await using lab = await WebLab.start();
    await using directory = await TestDirectory.start(lab.server);
    const dns = [await directory.addPerson("anna"), await directory.addPerson("bert")];
    await directory.addGroup("staff", dns);

    const admin = lab.browser("admin");
    const first = await admin("POST", "/sign-in", ADMIN);
    equal(first.status, 200, `${JSON.stringify(first.body)} ${lab.process.output()}`);
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

    const anna = lab.browser("anna");
    const signedIn = await anna("POST", "/sign-in", { name: "anna", password: "anna secret" });
    equal(signedIn.status, 200, JSON.stringify(signedIn.body));
    const keys = generateKeys();
    const added = await anna("POST", "/me/devices", {
      network: "wg0",
      name: "phone",
      publicKey: keys.publicKey,
    });
    equal(added.status, 201, JSON.stringify(added.body));
    await lab.connectPhone({ config: added.body.config, keys });
    ok(await lab.pings("10.8.0.1", 2, 5));

    await directory.pause();
    for (let seconds = 0; seconds < 25; seconds += 5) {
      await sleep(5_000);
      ok(await lab.pings(), "the tunnel works while the directory does not answer");
    }
    equal((await admin("GET", `/providers/${provider.id}`)).body.sync.state, "failed");
    await directory.resume();

    await directory.change(OPENLDAP, (client) => client.del(dns[0]!));
    const removed = performance.now();
    while (await lab.pings()) {
      ok(performance.now() - removed < 60_000, "the tunnel ends within a minute");
      await sleep(200);
    }
    console.log(`cut ${((performance.now() - removed) / 1_000).toFixed(1)} s after the removal`);
    equal((await anna("GET", "/me")).status, 401);
    equal((await admin("GET", "/devices")).body.items[0].reason, "user-disabled");
  },
);
