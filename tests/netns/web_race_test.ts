/**
 * Simultaneous requests to `wgd web`: nothing is assigned, removed or logged twice.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { eventually } from "./lab/exec.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { ADDRESS, ADMIN, type Answer, API, DATA, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const NEEDS = { programs: WEB_PROGRAMS };
const PROGRAM = fileURLToPath(new URL("lab/at_once_program.ts", import.meta.url));

type Wanted = readonly [method: string, path: string, body?: unknown];

/** Sends simultaneous requests, as a browser does. @param cookie The session's cookie. */
async function atOnce({ server }: WebLab, cookie: string, wanted: readonly Wanted[]): Promise<Answer[]> {
  const requests = wanted.map(([method, path, body]) => ({
    url: API + path,
    method,
    headers: {
      origin: `https://${ADDRESS}`,
      "sec-fetch-site": "same-origin",
      ...(cookie !== "" && { cookie }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }));
  const words = [Deno.execPath(), "run", "-A", "--no-check", PROGRAM, `${DATA}/ca.pem`];
  const { code, stdout, stderr } = await server.run(words, { stdin: JSON.stringify(requests) });
  ok(code === 0, stderr);
  return JSON.parse(stdout);
}

function statuses(answers: readonly Answer[]): number[] {
  return answers.map(({ status }) => status).sort();
}

/** A server, and the number of lines of each kind in its log. */
async function start() {
  const lab = await WebLab.start();
  const admin = lab.browser("admin");
  equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
  return {
    lab,
    admin,
    /** The session cookie of a signed-in user. */
    async cookieOf(name: string): Promise<string> {
      const jar = await lab.server.sh(`cat /run/lab/${name}.cookies`);
      return `__Host-wgd=${/__Host-wgd\t(\S+)/.exec(jar)![1]}`;
    },
    /** The number of lines in the log about something. */
    async lines(action: string): Promise<number> {
      const { body: { items } } = await admin("GET", "/events?limit=1000");
      return items.filter((line: { action: string }) => line.action === action).length;
    },
    /** Public keys of the store's devices. */
    async devices(): Promise<string[]> {
      const { body: { items } } = await lab.call("GET", "/devices?limit=200");
      return items.map(({ publicKey }: { publicKey: string }) => publicKey).sort();
    },
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  };
}

function device(): { name: string; publicKey: string } {
  return { name: "phone", publicKey: generateKeys().publicKey };
}

await rootTest(
  "at once: an invitation adds one device, and nobody exceeds the limit of devices",
  NEEDS,
  async () => {
    await using server = await start();
    const { lab, admin } = server;
    const { body: { token } } = await admin("POST", "/invites", { network: "wg0" });
    const accepted = await atOnce(
      lab,
      "",
      Array.from({ length: 20 }, () => ["POST", "/invites/accept", { token, ...device() }] as const),
    );
    deepEqual(statuses(accepted), [201, ...Array(19).fill(404)]);
    equal(await server.lines("invite.accept"), 1);

    const { body: group } = await admin("POST", "/groups", { name: "staff", networks: ["wg0"] });
    const password = "some good words";
    const user = { name: "anna", password, groups: [group.id], maxDevices: 3 };
    equal((await admin("POST", "/users", user)).status, 201);
    const anna = lab.browser("anna");
    equal((await anna("POST", "/sign-in", { name: "anna", password })).status, 200);
    const added = await atOnce(
      lab,
      await server.cookieOf("anna"),
      Array.from({ length: 20 }, () => ["POST", "/me/devices", { network: "wg0", ...device() }] as const),
    );
    deepEqual(statuses(added), [...Array(3).fill(201), ...Array(17).fill(409)]);
    const devices = await server.devices();
    equal(devices.length, 4);
    deepEqual(await lab.peers(), devices);
  },
);

await rootTest("at once: a device that is removed twice is removed and logged once", NEEDS, async () => {
  await using server = await start();
  const { lab, admin } = server;
  const cookie = await server.cookieOf("admin");
  const { body: group } = await admin("POST", "/groups", { name: "staff", networks: ["wg0"] });
  const { body: user } = await admin("POST", "/users", {
    name: "anna",
    password: "some good words",
    groups: [group.id],
  });
  const { id } = await lab.addDevice("phone", { owner: user.id });
  const { id: other } = await lab.addDevice("other");
  const { body: token } = await admin("POST", "/tokens", { name: "t", scopes: ["devices"] });
  const { body: invite } = await admin("POST", "/invites", { network: "wg0" });
  const { body: network } = await admin("POST", "/networks", {
    name: "wg7",
    address: "10.77.0.1/24",
    endpoint: "192.0.2.1:51821",
  });
  const { body: provider } = await admin("POST", "/providers", {
    kind: "ldap",
    name: "house",
    settings: { url: "ldap://127.0.0.1:1", shape: "openldap", baseDn: "dc=example" },
  });
  for (
    const [path, action] of [
      [`/devices/${other}`, "device.remove"],
      [`/groups/${group.id}`, "group.remove"],
      [`/tokens/${token.id}`, "token.remove"],
      [`/invites/${invite.id}`, "invite.remove"],
      [`/networks/${network.id}`, "network.remove"],
      [`/providers/${provider.id}`, "provider.remove"],
    ] as const
  ) {
    const answers = await atOnce(lab, cookie, Array.from({ length: 6 }, () => ["DELETE", path] as const));
    deepEqual(statuses(answers), [204, ...Array(5).fill(404)], path);
    equal(await server.lines(action), 1, path);
  }
  const before = await server.lines("device.remove");
  const answers = await atOnce(
    lab,
    cookie,
    Array.from(
      { length: 6 },
      (_, at) => ["DELETE", at % 2 ? `/users/${user.id}` : `/devices/${id}`] as const,
    ),
  );
  ok(answers.every(({ status }) => [204, 404].includes(status)), JSON.stringify(answers));
  equal(await server.lines("user.remove"), 1);
  equal(await server.lines("device.remove"), before + 1);
  deepEqual(await lab.peers(), []);
});

await rootTest(
  "at once: names are assigned once, and administrators do not remove each other",
  NEEDS,
  async () => {
    await using server = await start();
    const { lab, admin } = server;
    const cookie = await server.cookieOf("admin");
    const groups = [];
    for (const name of ["a", "b", "c", "d"]) groups.push((await admin("POST", "/groups", { name })).body.id);
    const renamed = await atOnce(
      lab,
      cookie,
      groups.map((id) => ["PATCH", `/groups/${id}`, { name: "staff" }] as const),
    );
    deepEqual(statuses(renamed), [200, 409, 409, 409]);
    const wanted = { name: "bert", password: "some good words", role: "admin" };
    const added = await atOnce(
      lab,
      cookie,
      Array.from({ length: 4 }, () => ["POST", "/users", wanted] as const),
    );
    deepEqual(statuses(added), [201, 409, 409, 409]);
    const users: { id: string }[] = (await admin("GET", "/users")).body;
    const removed = await atOnce(lab, cookie, users.map(({ id }) => ["DELETE", `/users/${id}`] as const));
    equal(removed.filter(({ status }) => status === 204).length, 1, JSON.stringify(removed));
    ok(removed.every(({ status }) => [204, 401, 409].includes(status)), JSON.stringify(removed));
  },
);

await rootTest("at once: of two setup links the newer one sets the server up, once", NEEDS, async () => {
  await using lab = await WebLab.create();
  const linkOf = () =>
    eventually("the setup link", () => Promise.resolve(/\/setup#(\S+)/.exec(lab.process.output())?.[1]));
  await lab.run();
  const older = await linkOf();
  await lab.stop();
  await lab.run();
  const newer = await linkOf();
  const setup = (token: string) =>
    ["POST", "/setup", {
      token,
      admin: { name: "anna", password: "a long password" },
      network: { name: "wg0", address: "10.8.0.1/24", endpoint: "192.0.2.1" },
    }] as const;
  const answers = await atOnce(lab, "", [older, newer, older, newer, newer].map(setup));
  deepEqual(statuses(answers), [200, 403, 403, 403, 403], JSON.stringify(answers));
  deepEqual(answers.filter((_, at) => at % 2 === 0 && at < 4).map(({ status }) => status), [403, 403]);
  const admin = lab.browser("admin");
  equal((await admin("POST", "/sign-in", { name: "anna", password: "a long password" })).status, 200);
  equal((await admin("GET", "/users")).body.length, 1);
  equal((await admin("GET", "/networks")).body.length, 1);
});
