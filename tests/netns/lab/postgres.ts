/**
 * A PostgreSQL server on a host of the lab.
 *
 * @module
 */

import { peer } from "../peers/mod.ts";
import { eventually } from "./exec.ts";
import type { Host } from "./host.ts";

/** The folder of its socket. */
export const FOLDER = "/run/lab/postgres";
/** Where the user finds the programs: they may have been unpacked where only root can go. */
const PROGRAMS = "/run/lab/postgresql";
/** PostgreSQL refuses to run as root; this is the user nobody. */
const USER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

/**
 * Starts a server with one user, `postgres`, who needs no password. It ends with the host.
 *
 * @param address Where it listens, at port 5432.
 * @param clients The network that may connect, as "10.8.0.0/24".
 * @param files Lines of pg_hba.conf that come first, and of pg_ident.conf.
 */
export async function startPostgres(
  host: Host,
  address: string,
  clients: string,
  files: { readonly hba?: string; readonly ident?: string } = {},
): Promise<void> {
  const { root, bin } = await peer("postgresql");
  const programs = `${PROGRAMS}/${bin}`;
  await host.sh(
    `chmod 755 /run /run/lab; install -d -m 700 -o 65534 -g 65534 ${FOLDER}
     mkdir ${PROGRAMS}; mount --bind ${root} ${PROGRAMS}`,
  );
  await host.ok(
    ...USER,
    `${programs}/initdb`,
    ...["--pgdata", `${FOLDER}/data`, "--username", "postgres", "--auth", "trust", "--no-sync"],
    ...["--encoding", "UTF8", "--locale", "C"],
  );
  await host.sh(
    `cd ${FOLDER}/data; { echo ${
      quoted(files.hba)
    }; cat pg_hba.conf; echo "host all all ${clients} trust"; } > hba
    cat hba > pg_hba.conf; echo ${quoted(files.ident)} >> pg_ident.conf`,
  );
  const server = await host.start([
    ...USER,
    `${programs}/postgres`,
    ...["-D", `${FOLDER}/data`, "-k", FOLDER, "-c", `listen_addresses=${address}`, "-c", "fsync=off"],
  ]);
  await eventually(
    "PostgreSQL",
    () => Promise.resolve(server.output().includes("ready to accept connections")),
  );
}

/** Runs a statement as the user `postgres`. @returns What psql prints. */
export async function runSql(host: Host, sql: string, database = "postgres"): Promise<string> {
  const psql = `${PROGRAMS}/${(await peer("postgresql")).bin}/psql`;
  return (await host.ok(psql, "-h", FOLDER, "-U", "postgres", "-Atc", sql, database)).trim();
}

function quoted(text = ""): string {
  return `'${text}'`;
}
