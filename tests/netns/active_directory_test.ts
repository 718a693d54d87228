/**
 * A real domain of Active Directory (Samba): nested groups, and the primary group, which is in no list of members.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { DOMAIN, Domain, DOMAIN_URL, DOMAIN_USERS, passwordOf, PEOPLE } from "./lab/domain.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { ADMIN, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

/** The number of the group Domain Guests ([MS-DTYP] 2.4.2.4). */
const DOMAIN_GUESTS = "514";

await rootTest(
  "active directory: nested groups and the primary group give access to networks, until the user leaves them",
  { peers: ["samba"], programs: [...WEB_PROGRAMS, "openssl"] },
  async () => {
    await using lab = await WebLab.start();
    const domain = await Domain.start(lab.server);
    const anna = await domain.addUser("anna");
    const bert = await domain.addUser("bert");
    await domain.addUser("cora");
    const reader = await domain.addUser("reader");
    // anna is in the interns, who are in the staff, who are in the company. The company is in the interns again.
    const interns = await domain.addGroup("Interns (1st floor)", [anna]);
    const staff = await domain.addGroup("staff", [interns]);
    const company = await domain.addGroup("company", [staff]);
    await domain.member("add", interns, company);
    // bert is only in the guests, as his primary group, and the guests are in a group.
    const guests = `CN=Domain Guests,CN=Users,${DOMAIN}`;
    await domain.member("add", guests, bert);
    await domain.set(bert, "primaryGroupID", DOMAIN_GUESTS);
    await domain.member("delete", DOMAIN_USERS, bert);
    const visitors = await domain.addGroup("visitors", [guests]);

    const admin = lab.browser("admin");
    equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
    const network = { name: "wg1", addresses: ["10.9.0.1/24"], endpoint: "192.0.2.1:51821" };
    equal((await admin("POST", "/networks", network)).status, 201);
    const added = await admin("POST", "/providers", {
      kind: "ldap",
      name: "House",
      settings: {
        url: DOMAIN_URL,
        ca: domain.ca,
        shape: "active-directory",
        bindDn: reader,
        // The groups are in another part of the tree, which need not be configured.
        baseDn: PEOPLE,
      },
      secret: passwordOf("reader"),
    });
    equal(added.status, 201, JSON.stringify(added.body));
    const { id } = added.body;
    const group = async (name: string, external: string, networks: string[]) => {
      const { status, body } = await admin("POST", "/groups", { name, provider: id, external, networks });
      equal(status, 201, JSON.stringify(body));
    };
    await group("everybody in the company", company, ["wg0"]);
    // A typing error, and a group of another domain. Neither has members.
    await group("no DN", "CN=,", ["wg0", "wg1"]);
    await group("elsewhere", "CN=staff,DC=other,DC=example,DC=com", ["wg0", "wg1"]);
    // By its cn.
    await group("visitors", "visitors", ["wg1"]);

    const attempt = async (name: string) => {
      const { body } = await admin("POST", `/providers/${id}/try`, { name });
      return { text: body.decision.text, groups: body.groups };
    };
    const sorted = (groups: { name: string; group: { name: string } | null }[]) =>
      groups.map(({ name, group }) => ({ name, group: group?.name ?? null }))
        .sort((a, b) => a.name < b.name ? -1 : 1);
    const ofAnna = await attempt("anna");
    equal(ofAnna.text, "anna may sign in as a user, with devices in wg0.");
    deepEqual(
      sorted(ofAnna.groups).filter(({ name }) => !/^CN=(Domain Users|Users),/.test(name)),
      [
        { name: interns, group: null },
        { name: company, group: "everybody in the company" },
        { name: staff, group: null },
      ],
    );
    ok(
      ofAnna.groups.some(({ name }: { name: string }) => name === DOMAIN_USERS),
      "her groups include her primary group",
    );
    const ofBert = await attempt("bert");
    equal(ofBert.text, "bert may sign in as a user, with devices in wg1.");
    ok(ofBert.groups.some(({ name }: { name: string }) => name === guests));
    ok(ofBert.groups.some(({ name }: { name: string }) => name === visitors));
    equal(
      (await attempt("cora")).text,
      "cora may sign in as a user, but none of their groups gives access to a network.",
    );

    const withDevice = async (name: string, network: string) => {
      const browser = lab.browser(name);
      const wrong = await browser("POST", "/sign-in", { name, password: `${passwordOf(name)}.` });
      equal(wrong.status, 401);
      const right = await browser("POST", "/sign-in", { name, password: passwordOf(name) });
      equal(right.status, 200, JSON.stringify(right.body));
      const { publicKey } = generateKeys();
      const device = await browser("POST", "/me/devices", { network, name: `${name}'s phone`, publicKey });
      equal(device.status, 201, JSON.stringify(device.body));
      return publicKey;
    };
    const keys = { anna: await withDevice("anna", "wg0"), bert: await withDevice("bert", "wg1") };
    const peers = async () =>
      (await lab.server.sh("wg show wg0 peers; wg show wg1 peers")).split("\n").filter(Boolean).sort();
    const compare = async () => {
      const { body } = await admin("POST", `/providers/${id}/sync`, {});
      equal(body.state, "ok", JSON.stringify(body));
      match(body.message, /^2 of 2 users/);
    };
    await compare();
    deepEqual(await peers(), Object.values(keys).sort(), "the comparison changes no peers");

    // Two steps above her.
    await domain.member("delete", company, staff);
    await compare();
    deepEqual(await peers(), [keys.bert]);
    await domain.member("add", company, staff);
    await domain.member("delete", visitors, guests);
    await compare();
    deepEqual(await peers(), [keys.anna]);
    // The primary group itself is configured.
    await group("guests", guests, ["wg1"]);
    await compare();
    deepEqual(await peers(), Object.values(keys).sort());
    await domain.set(bert, "userAccountControl", "514");
    await domain.change((client) => client.del(company));
    await compare();
    deepEqual(await peers(), []);
  },
);
