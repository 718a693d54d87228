/**
 * An LDAP directory of people: slapd on a loopback port, with a branch with OpenLDAP's schema and one with Active
 * Directory's.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect as connectSocket } from "node:net";
import { Client } from "ldapts";
import { freePort } from "../../free_port.ts";
import { peer } from "../peers/mod.ts";
import type { Host, Process } from "./host.ts";
import { ENVIRONMENT, must, sleep } from "./exec.ts";

/** The branch with entryUUID, uid and the memberof overlay. */
export const OPENLDAP = "dc=example,dc=org";
/** The branch with objectGUID, sAMAccountName and userAccountControl. */
export const ACTIVE_DIRECTORY = "dc=ad,dc=example,dc=net";
/** Administrators of the two branches. */
export const ROOT_PASSWORD = "the directory's own";
/** The account that may only search. */
export const READER = { dn: `cn=reader,${OPENLDAP}`, password: "may read" } as const;

/** Active Directory's attributes with their own numbers; Debian's msuser.schema has them without matching rules. */
const AD_SCHEMA = `
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP organizationalPerson STRUCTURAL
  MUST ( sAMAccountName $ objectGUID ) MAY ( userAccountControl $ accountExpires $ mail $ displayName ) )
objectclass ( 1.2.840.113556.1.5.8 NAME 'group' SUP top STRUCTURAL MUST ( cn $ sAMAccountName ) MAY ( member ) )
`;

/** A running slapd. */
export class TestDirectory implements AsyncDisposable {
  #child: Deno.ChildProcess | undefined;
  #process: Process | undefined;

  private constructor(
    readonly folder: string,
    readonly port: number,
    readonly securePort: number,
    /** Certificate of the authority that signed the server's. */
    readonly ca: string,
    readonly url: string,
    readonly secureUrl: string,
    readonly host: Host | undefined,
  ) {}

  /**
   * Starts one with both branches, empty but for `ou=people` and `ou=groups`.
   *
   * @param host On which; on this machine if left out.
   */
  static async start(host?: Host): Promise<TestDirectory> {
    const folder = await Deno.makeTempDir({ prefix: "wgd-slapd-" });
    const [port, securePort] = [freePort(), freePort()];
    const ca = await certify(folder);
    const directory = new TestDirectory(
      folder,
      port,
      securePort,
      ca,
      `ldap://127.0.0.1:${port}`,
      `ldaps://localhost:${securePort}`,
      host,
    );
    try {
      await writeConfiguration(folder);
      await directory.resume();
      await directory.#fill();
      return directory;
    } catch (error) {
      await directory[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts it again after `pause`. */
  async resume(): Promise<void> {
    const { daemon, libraries } = await peer("slapd");
    const urls = [
      `ldap://127.0.0.1:${this.port}/`,
      `ldaps://127.0.0.1:${this.securePort}/`,
      `ldapi://${encodeURIComponent(this.#socket)}`,
    ];
    const words = [daemon, "-d", "0", "-f", `${this.folder}/slapd.conf`, "-h", urls.join(" ")];
    const env = { ...ENVIRONMENT, LD_LIBRARY_PATH: libraries };
    if (this.host) this.#process = await this.host.start(words, { env });
    else {
      const options = { env, stdin: "null", stdout: "null", stderr: "inherit" } as const;
      this.#child = new Deno.Command(daemon, { ...options, args: words.slice(1) }).spawn();
    }
    for (let attempt = 0;; attempt++) {
      try {
        (await Deno.connect({ transport: "unix", path: this.#socket })).close();
        return;
      } catch (error) {
        if (attempt === 100) throw error;
        await sleep(100);
      }
    }
  }

  /** Where its administrators connect, from whichever host. */
  get #socket(): string {
    return `${this.folder}/ldapi`;
  }

  /** Ends the server; its data stays. */
  async pause(): Promise<void> {
    await this.#process?.signal("TERM");
    await this.#process?.ended;
    this.#process = undefined;
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await child.status;
  }

  /** Changes the directory as its administrator. */
  async change<Result>(branch: string, change: (client: Client) => Promise<Result>): Promise<Result> {
    const connection = (() => connectSocket(this.#socket)) as typeof connectSocket;
    const client = new Client({ url: this.url, createConnection: connection });
    try {
      await client.bind(`cn=admin,${branch}`, ROOT_PASSWORD);
      return await change(client);
    } finally {
      await client.unbind();
    }
  }

  /** Adds a person with OpenLDAP's schema. The password is the name and " secret". */
  async addPerson(
    uid: string,
    { branch = OPENLDAP, more = {} as Record<string, string> } = {},
  ): Promise<string> {
    const escaped = uid.replaceAll(
      /[^\w]/g,
      (letter) => `\\${letter.charCodeAt(0).toString(16).padStart(2, "0")}`,
    );
    const dn = `uid=${escaped},ou=people,${branch}`;
    await this.change(branch, (client) =>
      client.add(dn, {
        objectClass: ["inetOrgPerson"],
        cn: `${uid} of Example`,
        sn: "Example",
        mail: `${uid}@example.org`,
        userPassword: `${uid} secret`,
        ...more,
      }));
    return dn;
  }

  /** Adds a user with Active Directory's schema. The password is the name and " secret". */
  async addUser(name: string, more: Record<string, string> = {}): Promise<string> {
    const dn = `cn=${name},ou=people,${ACTIVE_DIRECTORY}`;
    const attributes: Record<string, string[] | Buffer[] | string> = {
      objectClass: ["user"],
      sn: "Example",
      sAMAccountName: name,
      mail: `${name}@example.net`,
      userPassword: `${name} secret`,
      userAccountControl: "512",
      ...more,
    };
    // Any bytes, because the identifier is not text.
    attributes["objectGUID"] = [Buffer.from(crypto.getRandomValues(new Uint8Array(16)))];
    await this.change(ACTIVE_DIRECTORY, (client) => client.add(dn, attributes as Record<string, string[]>));
    return dn;
  }

  /** Adds a group. */
  async addGroup(cn: string, members: readonly string[], branch: string = OPENLDAP): Promise<string> {
    const dn = `cn=${cn},ou=groups,${branch}`;
    const active = branch === ACTIVE_DIRECTORY;
    await this.change(branch, (client) =>
      client.add(dn, {
        objectClass: [active ? "group" : "groupOfNames"],
        member: [...members],
        ...(active && { sAMAccountName: cn }),
      }));
    return dn;
  }

  /** Ends it and deletes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.pause();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #fill(): Promise<void> {
    for (const branch of [OPENLDAP, ACTIVE_DIRECTORY]) {
      await this.change(branch, async (client) => {
        const dc = /^dc=(\w+)/.exec(branch)![1]!;
        await client.add(branch, { objectClass: ["organization", "dcObject"], o: "Example", dc });
        for (const ou of ["people", "groups"]) {
          await client.add(`ou=${ou},${branch}`, { objectClass: ["organizationalUnit"] });
        }
      });
    }
    await this.change(OPENLDAP, (client) =>
      client.add(READER.dn, {
        objectClass: ["organizationalRole", "simpleSecurityObject"],
        userPassword: READER.password,
      }));
  }
}

async function writeConfiguration(folder: string): Promise<void> {
  const { modules, schemas } = await peer("slapd");
  await Deno.writeTextFile(`${folder}/ad.schema`, AD_SCHEMA);
  const database = (suffix: string, name: string, group: string) => `
database mdb
suffix "${suffix}"
rootdn "cn=admin,${suffix}"
rootpw "${ROOT_PASSWORD}"
directory ${folder}/${name}
maxsize 268435456
dbnosync
index objectClass,entryUUID,uid,member eq
access to attrs=userPassword by anonymous auth by * none
access to * by * read
overlay memberof
memberof-group-oc ${group}
memberof-member-ad member
overlay refint
refint_attributes member
refint_nothing cn=admin,${suffix}
`;
  await Deno.writeTextFile(
    `${folder}/slapd.conf`,
    `${
      ["core", "cosine", "inetorgperson", "nis"].map((name) => `include ${schemas}/${name}.schema`).join("\n")
    }
modulepath ${modules}
moduleload back_mdb
moduleload memberof
moduleload refint
include ${folder}/ad.schema
TLSCACertificateFile ${folder}/ca.pem
TLSCertificateFile ${folder}/server.pem
TLSCertificateKeyFile ${folder}/server.key
${database(OPENLDAP, "openldap", "groupOfNames")}${database(ACTIVE_DIRECTORY, "ad", "group")}`,
  );
  for (const name of ["openldap", "ad"]) await Deno.mkdir(`${folder}/${name}`);
}

/** An authority, and a certificate of its for `localhost` and 127.0.0.1. @returns The authority's certificate. */
export async function certify(folder: string): Promise<string> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const name = (cn: string) => ["-subj", `/CN=${cn}`];
  const cwd = folder;
  await must([
    ...["openssl", "req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", ...name("Test authority")],
  ], { cwd });
  await must([
    ...["openssl", "req", "-x509", ...key, "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "server.key"],
    ...["-out", "server.pem", ...name("localhost"), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
  ], { cwd });
  return await Deno.readTextFile(`${folder}/ca.pem`);
}
