/**
 * Sign-in with a real directory.
 *
 * @module
 */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { type AddressInfo, connect as connectSocket, createServer } from "node:net";
import { Attribute, Change } from "ldapts";
import fc from "fast-check";
import { Directory, signInByLdap } from "../../core/web/sign_in/ldap.ts";
import { ANSWER, DirectoryError } from "../../core/web/sign_in/ldap_connection.ts";
import { isGroup } from "../../core/web/sign_in/ldap_groups.ts";
import { completeLdapSettings, type LdapSettings } from "../../core/web/sign_in/ldap_settings.ts";
import { OidcError, OidcProvider } from "../../core/web/sign_in/oidc.ts";
import { eventually } from "./lab/exec.ts";
import { rootTest } from "./lab/rooted.ts";
import { ACTIVE_DIRECTORY, OPENLDAP, READER, TestDirectory } from "./lab/directory.ts";

const needs = { peers: ["slapd"], programs: ["openssl"] } as const;
const now = () => Date.UTC(2030, 0, 1);

function openldap(directory: TestDirectory, more: Partial<LdapSettings> = {}) {
  return completeLdapSettings({
    url: directory.url,
    shape: "openldap",
    bindDn: READER.dn,
    baseDn: OPENLDAP,
    ...more,
  });
}

function activeDirectory(directory: TestDirectory) {
  // slapd lacks objectCategory, which Active Directory itself sets.
  return completeLdapSettings({
    url: directory.url,
    shape: "active-directory",
    baseDn: ACTIVE_DIRECTORY,
    userFilter: "(objectClass=user)",
  });
}

function replace(type: string, value: string): Change {
  return new Change({ operation: "replace", modification: new Attribute({ type, values: [value] }) });
}

await rootTest(
  "ldap: a person signs in over plain loopback, StartTLS and LDAPS, with their groups",
  needs,
  async () => {
    await using directory = await TestDirectory.start();
    const anna = await directory.addPerson("anna");
    const staff = await directory.addGroup("staff", [anna]);
    await directory.addGroup("others", [`uid=nobody,ou=people,${OPENLDAP}`]);
    const ca = directory.ca;
    for (
      const more of [
        {},
        { groupsBy: "member-of" },
        { startTls: true, ca },
        { url: directory.secureUrl, ca },
        { url: directory.secureUrl.replace("localhost", "127.0.0.1"), ca },
      ] as Partial<LdapSettings>[]
    ) {
      const settings = openldap(directory, more);
      const wanted = more.groupsBy ? [] : ["others", staff];
      const signIn = (name: string, password: string) =>
        signInByLdap(settings, READER.password, { name, password, wanted, now });
      const right = await signIn("anna", "anna secret");
      ok(right.outcome === "ok", JSON.stringify(more));
      const { subject, groups, ...person } = right.person;
      match(subject, /^[0-9a-f-]{36}$/);
      deepEqual(person, {
        dn: anna,
        name: "anna",
        displayName: "anna of Example",
        email: "anna@example.org",
        disabled: null,
      });
      deepEqual(groups, [staff]);
      deepEqual(await signIn("anna", "wrong"), { outcome: "wrong" });
      deepEqual(await signIn("nobody", "anna secret"), { outcome: "wrong" });
    }
  },
);

await rootTest("ldap: no TLS without the right authority, and no password without TLS", needs, async () => {
  await using directory = await TestDirectory.start();
  await directory.addPerson("anna");
  const attempt = { name: "anna", password: "anna secret", wanted: [], now };
  for (const more of [{ url: directory.secureUrl }, { startTls: true }]) {
    await rejects(signInByLdap(openldap(directory, more), READER.password, attempt), DirectoryError);
  }
  await rejects(signInByLdap(openldap(directory), "wrong", attempt), DirectoryError);
  await rejects(signInByLdap(openldap(directory), "", attempt), /password of cn=reader/);
});

await rootTest(
  "ldap: an empty password, or a name with filter characters, does not sign in",
  needs,
  async () => {
    await using directory = await TestDirectory.start();
    await directory.addPerson("anna");
    await directory.addPerson("(odd*)\\name");
    const settings = openldap(directory);
    const signIn = async (name: string, password: string) =>
      (await signInByLdap(settings, READER.password, { name, password, wanted: [], now })).outcome;
    equal(await signIn("anna", ""), "wrong");
    equal(await signIn("anna", "\0"), "wrong");
    equal(await signIn("(odd*)\\name", "(odd*)\\name secret"), "ok");
    for (
      const name of ["*", "an*", "anna)(uid=*", "*)(objectClass=*", "anna\0", ")(", "\\2a", "anna)(|(uid=*"]
    ) {
      equal(await signIn(name, "anna secret"), "wrong", name);
    }
    await using connection = await Directory.open(settings, READER.password, now);
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 40 }), async (name) => {
        const found = await connection.find(name);
        equal(found?.name.toLowerCase(), found && name.trim().replace(/ +/g, " ").toLowerCase());
      }),
      { numRuns: 300 },
    );
  },
);

await rootTest(
  "ldap: a name of two entries, and an entry in another directory, sign nobody in",
  needs,
  async () => {
    await using directory = await TestDirectory.start();
    await using elsewhere = await TestDirectory.start();
    await elsewhere.addPerson("bert");
    await directory.addPerson("anna");
    const settings = openldap(directory);
    const signIn = async (name: string) =>
      (await signInByLdap(settings, READER.password, { name, password: `${name} secret`, wanted: [], now }))
        .outcome;
    await directory.change(OPENLDAP, (client) =>
      client.add(`ou=elsewhere,${OPENLDAP}`, {
        objectClass: ["referral", "extensibleObject"],
        ou: "elsewhere",
        ref: `${elsewhere.url}/ou=people,${OPENLDAP}`,
      }));
    equal(await signIn("anna"), "ok", "the referral is not followed");
    equal(await signIn("bert"), "wrong", "a password is not sent to the server of a referral");
    await directory.change(OPENLDAP, async (client) => {
      const same = {
        objectClass: ["inetOrgPerson"],
        cn: "anna",
        sn: "x",
        uid: "anna",
        userPassword: "anna secret",
      };
      await client.add(`cn=anna,${OPENLDAP}`, same);
    });
    equal(await signIn("anna"), "wrong", "a name that two entries have signs nobody in");
  },
);

await rootTest(
  "ldap: names with every special character have their own groups and no others",
  needs,
  async () => {
    await using directory = await TestDirectory.start();
    const name = 'O, Brien+x="1";<a>#\\';
    const dn = await directory.addPerson(name);
    const others = await directory.addPerson("O,Brien");
    await directory.addGroup("vpn\\, all", [dn]);
    await directory.addGroup("vpn\\,all", [others]);
    const groupsOf = async (who: string, more: Partial<LdapSettings>, wanted: string[]) => {
      const attempt = { name: who, password: `${who} secret`, wanted, now };
      const answer = await signInByLdap(openldap(directory, more), READER.password, attempt);
      ok(answer.outcome === "ok", who);
      return wanted.filter((group) => answer.person.groups.some((found) => isGroup(found, group)));
    };
    const [spaced, tight] = ["vpn\\, all", "vpn\\,all"].map((cn) => `cn=${cn},ou=groups,${OPENLDAP}`);
    for (const groupsBy of ["member", "member-of"] as const) {
      deepEqual(await groupsOf(name, { groupsBy }, [spaced!, tight!]), [spaced], groupsBy);
      deepEqual(await groupsOf("O,Brien", { groupsBy }, [spaced!, tight!]), [tight], groupsBy);
    }
  },
);

await rootTest(
  "ldap: Active Directory: objectGUID, memberOf, disabled and expired accounts",
  needs,
  async () => {
    await using directory = await TestDirectory.start();
    const dn = await directory.addUser("anna");
    const staff = await directory.addGroup("staff", [dn], ACTIVE_DIRECTORY);
    const settings = activeDirectory(directory);
    const signIn = () =>
      signInByLdap(settings, undefined, { name: "ANNA", password: "anna secret", wanted: [], now });
    const first = await signIn();
    ok(first.outcome === "ok");
    match(first.person.subject, /^[0-9a-f]{32}$/);
    deepEqual(first.person.groups, [staff]);
    await directory.change(ACTIVE_DIRECTORY, async (client) => {
      await client.modify(dn, replace("userAccountControl", "514"));
    });
    equal((await signIn()).outcome, "disabled");
    await directory.change(ACTIVE_DIRECTORY, async (client) => {
      await client.modify(dn, replace("userAccountControl", "512"));
      // 100 ns since 1601: a second before and after the test's time.
      await client.modify(
        dn,
        replace("accountExpires", `${(BigInt(now()) + 11_644_473_599_000n) * 10_000n}`),
      );
    });
    equal((await signIn()).outcome, "disabled");
    await directory.change(ACTIVE_DIRECTORY, async (client) => {
      await client.modify(
        dn,
        replace("accountExpires", `${(BigInt(now()) + 11_644_473_601_000n) * 10_000n}`),
      );
      await client.modifyDN(dn, `cn=anna married,ou=people,${ACTIVE_DIRECTORY}`);
    });
    const last = await signIn();
    ok(last.outcome === "ok");
    equal(last.person.subject, first.person.subject, "a renamed person keeps the identifier");
    await using connection = await Directory.open(settings, undefined, now);
    deepEqual([...(await connection.lookUp([first.person.subject])).keys()], [first.person.subject]);
  },
);

await rootTest(
  "ldap: 1,200 known people are all found, although a search returns 500",
  needs,
  async () => {
    await using directory = await TestDirectory.start();
    const dns = await directory.change(OPENLDAP, async (client) => {
      const dns = Array.from({ length: 1_200 }, (_, i) => `uid=u${i},ou=people,${OPENLDAP}`);
      for (let at = 0; at < dns.length; at += 100) {
        await Promise.all(
          dns.slice(at, at + 100).map((dn, i) =>
            client.add(dn, { objectClass: ["inetOrgPerson"], cn: `u${at + i}`, sn: "x" })
          ),
        );
      }
      return dns;
    });
    const even = await directory.addGroup("even", dns.filter((_, i) => i % 2 === 0));
    const settings = openldap(directory);
    await using connection = await Directory.open(settings, READER.password, now);
    const subjects: string[] = [];
    for (let i = 0; i < 1_200; i++) subjects.push((await connection.find(`u${i}`))!.subject);
    await directory.change(OPENLDAP, (client) => client.del(dns[7]!));
    const found = await connection.lookUp(subjects, ["even"]);
    equal(found.size, 1_199);
    equal(found.has(subjects[7]!), false);
    equal([...found.values()].filter(({ groups }) => groups.includes("even")).length, 600);
    await using byOwn = await Directory.open(
      openldap(directory, { groupsBy: "member-of" }),
      READER.password,
      now,
    );
    const same = await byOwn.lookUp(subjects);
    equal([...same.values()].filter(({ groups }) => groups.includes(even)).length, 600);
    equal(await connection.hasPeople(), true);
    await using wrong = await Directory.open(
      openldap(directory, { userFilter: "(objectClass=device)" }),
      READER.password,
      now,
    );
    equal(await wrong.hasPeople(), false);
  },
);

await rootTest("ldap: a directory that disconnects is an error, never an empty answer", needs, async () => {
  await using directory = await TestDirectory.start();
  await directory.addPerson("anna");
  const settings = openldap(directory, { startTls: true, ca: directory.ca });
  await using connection = await Directory.open(settings, READER.password, now);
  const anna = (await connection.find("anna"))!;
  await directory.pause();
  // ldapts would reconnect, without encryption.
  const started = performance.now();
  await rejects(connection.lookUp([anna.subject]), DirectoryError);
  ok(performance.now() - started < ANSWER, "it waited for an answer on a closed connection");
  await directory.resume();
  await rejects(connection.lookUp([anna.subject]), DirectoryError);
  await rejects(connection.hasPeople(), DirectoryError);
});

/** Forwards connections, and reads the kinds of requests from what the client sends (RFC 4511, section 4.2). */
async function countRequests(port: number) {
  const received: Buffer[] = [];
  const server = createServer((client) => {
    const directory = connectSocket(port, "127.0.0.1");
    const bytes: Buffer[] = [];
    client.on("data", (chunk) => bytes.push(chunk));
    client.on("close", () => received.push(Buffer.concat(bytes)));
    for (const socket of [client, directory]) socket.on("error", () => {});
    client.pipe(directory).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    /** The kinds of requests on each of so many connections, after all have ended. */
    async take(connections: number) {
      await eventually("the connections to end", () => received.length === connections);
      return received.splice(0).map(requestKinds).sort();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** The tags of requests: 60 is a bind, 63 a search, 42 an unbind. */
function requestKinds(bytes: Buffer): string {
  const kinds: string[] = [];
  const lengthAt = (at: number): [length: number, start: number] => {
    const first = bytes[at]!;
    return first < 0x80 ? [first, at + 1] : [bytes.readUIntBE(at + 1, first & 0x7f), at + 1 + (first & 0x7f)];
  };
  for (let at = 0; at < bytes.length;) {
    const [length, start] = lengthAt(at + 1);
    const [idLength, id] = lengthAt(start + 1);
    kinds.push(bytes[id + idLength]!.toString(16));
    at = start + length;
  }
  return kinds.join(" ");
}

await rootTest("ldap: the directory gets the same requests for known and unknown names", needs, async () => {
  await using directory = await TestDirectory.start();
  const dns = [await directory.addPerson("anna"), await directory.addUser("anna")];
  const groups = [
    await directory.addGroup("staff", [dns[0]!]),
    await directory.addGroup("staff", [dns[1]!], ACTIVE_DIRECTORY),
  ];
  await using requests = await countRequests(directory.port);
  for (const [at, shape] of [openldap(directory), activeDirectory(directory)].entries()) {
    const settings = { ...shape, port: requests.port };
    const wanted = ["staff", groups[at]!];
    const ask = async (name: string, password: string) => {
      const { outcome } = await signInByLdap(settings, READER.password, { name, password, wanted, now });
      return { outcome, requests: await requests.take(2) };
    };
    const unknown = await ask("nobody", "wrong");
    equal(unknown.requests.join().match(/63/g)?.length, 1, unknown.requests.join());
    deepEqual(await ask("anna", "wrong"), unknown);
    equal((await ask("anna", "anna secret")).outcome, "ok");
  }
});

await rootTest("oidc: a provider with a certificate of a private authority", needs, async () => {
  await using directory = await TestDirectory.start();
  const [cert, key] = await Promise.all(
    ["server.pem", "server.key"].map((name) => Deno.readTextFile(`${directory.folder}/${name}`)),
  );
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: cert!, key: key!, onListen: () => {} },
    ({ url }) => {
      const issuer = new URL(url).origin;
      return Response.json({
        issuer,
        authorization_endpoint: `${issuer}/go`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/keys`,
      });
    },
  );
  const issuer = `https://127.0.0.1:${server.addr.port}`;
  const provider = await OidcProvider.discover({ issuer, clientId: "wgd", ca: directory.ca }, "secret");
  equal(provider.authorizationEndpoint, `${issuer}/go`);
  await rejects(OidcProvider.discover({ issuer, clientId: "wgd" }, "secret"), OidcError);
});
