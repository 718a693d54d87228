/**
 * A domain of Active Directory: Samba as its controller, on a host of the lab. It ends with the host.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect as connectSocket } from "node:net";
import { Attribute, Change, Client } from "ldapts";
import { peer } from "../peers/mod.ts";
import { certify } from "./directory.ts";
import { eventually } from "./exec.ts";
import type { Host } from "./host.ts";

/** The domain. */
export const DOMAIN = "DC=ad,DC=example,DC=net";
/** Where the test's people are. */
export const PEOPLE = `OU=people,${DOMAIN}`;
/** Where groups are, and the domain's own accounts. */
const USERS = `CN=Users,${DOMAIN}`;
/** The group that every user is in, without being among its members. */
export const DOMAIN_USERS = `CN=Domain Users,${USERS}`;
/** The address of the controller, for programs on its host. */
export const DOMAIN_URL = "ldaps://localhost";

const FOLDER = "/run/lab/domain";
/** Root on the machine is the domain's SYSTEM at this socket, without a password. */
const SOCKET = `${FOLDER}/private/ldap_priv/ldapi`;

/** Samba's /usr lies over the machine's for its own processes alone. */
async function withSamba(command: readonly string[]): Promise<string[]> {
  const { usr } = await peer("samba");
  const script = `mount -t overlay -o lowerdir=${usr}:/usr samba /usr; exec "$@"`;
  return ["unshare", "--mount", "sh", "-ec", script, "sh", ...command];
}

/** A running domain controller. */
export class Domain {
  readonly #host: Host;

  private constructor(
    host: Host,
    /** Certificate of the authority that signed the controller's. */
    readonly ca: string,
  ) {
    this.#host = host;
  }

  /** Makes a domain on a host, and starts its controller with LDAP alone. */
  static async start(host: Host): Promise<Domain> {
    await host.sh(`mkdir ${FOLDER}`);
    // Samba would make its own keys, of RSA and for a name that nobody here knows.
    const ca = await certify(host.path(FOLDER));
    await host.sh(`chmod 600 ${FOLDER}/server.key`);
    const options = [
      "server services=ldap",
      "interfaces=lo",
      "bind interfaces only=yes",
      `tls cafile=${FOLDER}/ca.pem`,
      `tls certfile=${FOLDER}/server.pem`,
      `tls keyfile=${FOLDER}/server.key`,
    ];
    await host.ok(
      ...await withSamba([
        ...["samba-tool", "domain", "provision", `--targetdir=${FOLDER}`, "--server-role=dc"],
        ...["--realm=AD.EXAMPLE.NET", "--domain=AD", "--host-name=dc1", "--host-ip=127.0.0.1"],
        ...[
          "--dns-backend=NONE",
          "--adminpass=The domain 1",
          ...options.map((option) => `--option=${option}`),
        ],
      ]),
    );
    const process = await host.start(
      await withSamba([
        ...["samba", `--configfile=${FOLDER}/etc/smb.conf`],
        ...["--foreground", "--no-process-group", "--model=single", "--debug-stdout"],
      ]),
    );
    const domain = new Domain(host, ca);
    try {
      await eventually(
        "the domain controller",
        () => domain.change((client) => client.search("", { scope: "base" })),
        {
          within: 30_000,
        },
      );
    } catch (error) {
      throw new Error(`Samba does not answer: ${process.output().slice(-2_000)}`, { cause: error });
    }
    await domain.change((client) => client.add(PEOPLE, { objectClass: ["organizationalUnit"] }));
    return domain;
  }

  /** Changes the domain as its SYSTEM. */
  async change<Result>(change: (client: Client) => Promise<Result>): Promise<Result> {
    const path = this.#host.path(SOCKET);
    const client = new Client({
      url: "ldap://localhost",
      createConnection: (() => connectSocket(path)) as typeof connectSocket,
    });
    try {
      // Without a bind: an anonymous one would end what the socket gives.
      return await change(client);
    } finally {
      await client.unbind();
    }
  }

  /** Adds a user, whose password is {@link passwordOf} the name. @returns The DN. */
  async addUser(name: string): Promise<string> {
    const dn = `CN=${name},${PEOPLE}`;
    await this.change((client) =>
      client.add(dn, [
        new Attribute({ type: "objectClass", values: ["user"] }),
        new Attribute({ type: "sAMAccountName", values: [name] }),
        new Attribute({ type: "mail", values: [`${name}@example.net`] }),
        new Attribute({ type: "userAccountControl", values: ["512"] }),
        // [MS-ADTS] 3.1.1.3.1.5.1: the password in quotes, in UTF-16.
        new Attribute({ type: "unicodePwd", values: [Buffer.from(`"${passwordOf(name)}"`, "utf16le")] }),
      ])
    );
    return dn;
  }

  /** Adds a group. @returns The DN. */
  async addGroup(name: string, members: readonly string[] = []): Promise<string> {
    const dn = `CN=${name},${USERS}`;
    await this.change((client) =>
      client.add(dn, {
        objectClass: ["group"],
        sAMAccountName: name,
        ...(members.length > 0 && { member: [...members] }),
      })
    );
    return dn;
  }

  /** Puts somebody, or a group, into a group, or takes them out. */
  async member(operation: "add" | "delete", group: string, dn: string): Promise<void> {
    const modification = new Attribute({ type: "member", values: [dn] });
    await this.change((client) => client.modify(group, new Change({ operation, modification })));
  }

  /** Sets an attribute. */
  async set(dn: string, type: string, value: string): Promise<void> {
    const modification = new Attribute({ type, values: [value] });
    await this.change((client) => client.modify(dn, new Change({ operation: "replace", modification })));
  }
}

/** The password of a user; the domain wants three kinds of letters. */
export function passwordOf(name: string): string {
  return `The secret 1 of ${name}`;
}
