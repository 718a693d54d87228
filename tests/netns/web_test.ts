/**
 * `wgd web`: a device that is added by the API connects with the file it got, and is cut off when it is removed.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const DATA = "/run/lab/data";
const PROGRAMS = ["wg", "ping", "curl"];

/** A server and a phone, with a cable between them. */
async function server() {
  await using made = new AsyncDisposableStack();
  const network = made.use(await Network.create("server", "phone"));
  const [server, phone] = network.hosts;
  await connect(
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: phone, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  await server.sh("cat > /run/lab/password", { stdin: "a long password\n" });
  const beginning = [
    "--network",
    "wg0",
    "--address",
    "10.8.0.1/24,fd08::1/64",
    "--endpoint",
    "192.0.2.1:51820",
  ];
  const admin = ["--admin", "anna", "--password-file", "/run/lab/password"];
  await server.ok(...wgd, "web", "init", "--data", DATA, ...beginning, ...admin);
  const token =
    (await server.ok(...wgd, "web", "token", "add", "test", "--data", DATA, "--scopes", "devices"))
      .trim();
  const process = await server.start([...wgd, "web", "--data", DATA, "--listen", "127.0.0.1:8443"]);
  await eventually("wgd web to listen", () => /listening at/.test(process.output()));
  made.move();
  return { network, server, phone, token, process };
}

/** Calls the API. */
async function call(host: Host, token: string, method: string, path: string, body?: unknown) {
  const data = body === undefined ? [] : ["--json", JSON.stringify(body)];
  const authorization = ["-H", `Authorization: Bearer ${token}`];
  const words = [
    "curl",
    "-sS",
    "--cacert",
    `${DATA}/ca.pem`,
    "-X",
    method,
    ...authorization,
    ...data,
    "-w",
    "\n%{http_code}",
  ];
  const lines = (await host.ok(...words, `https://127.0.0.1:8443/api/v1${path}`)).split("\n");
  const status = Number(lines.pop());
  const text = lines.join("\n");
  return { status, body: text.startsWith("{") ? JSON.parse(text) : text };
}

await rootTest(
  "a device added by the API connects, and is cut off at once when it is removed",
  { programs: PROGRAMS },
  async () => {
    const { network, server: host, phone, token } = await server();
    await using _network = network;
    const keys = generateKeys();
    const added = await call(host, token, "POST", "/devices", {
      network: "wg0",
      name: "Anna's phone",
      publicKey: keys.publicKey,
    });
    equal(added.status, 201, JSON.stringify(added.body));
    const { id, config } = added.body;
    ok(!config.includes("PrivateKey") && config.includes("PresharedKey"), config);

    await phone.sh("umask 077; cat > /run/lab/wg1.conf", {
      stdin: config.replace("[Interface]\n", `[Interface]\nPrivateKey = ${keys.privateKey}\n`),
    });
    await phone.ok(...wgd, "quick", "up", "/run/lab/wg1.conf");
    await phone.ok("ping", "-c", "2", "-W", "5", "10.8.0.1");
    await phone.ok("ping", "-c", "2", "-W", "5", "fd08::1");

    const list = await call(host, token, "GET", "/devices?search=anna");
    equal(list.body.total, 1);
    deepEqual(list.body.items[0].addresses, ["10.8.0.2", "fd08::2"]);

    equal((await call(host, token, "DELETE", `/devices/${id}`)).status, 204);
    equal((await host.ok("wg", "show", "wg0", "peers")).trim(), "");
    equal((await phone.run(["ping", "-c", "1", "-W", "1", "10.8.0.1"])).code, 1);
  },
);
