/**
 * A PostgreSQL server of the test's own: its user is not root, and nobody but the tests can reach it.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { peer } from "../../netns/peers/mod.ts";

/** The user nobody: PostgreSQL refuses to run as root. */
const NOBODY = { uid: 65534, gid: 65534 };

/** A server. It listens at a Unix socket. */
export class PostgresServer implements AsyncDisposable {
  /** The folder of its socket. */
  readonly folder: string;
  readonly #process: Deno.ChildProcess;
  readonly #log: Promise<void>;
  #databases = 0;

  private constructor(folder: string, process: Deno.ChildProcess, log: Promise<void>) {
    this.folder = folder;
    this.#process = process;
    this.#log = log;
  }

  /**
   * Starts one.
   *
   * @param settings As `listen_addresses=127.0.0.1`.
   * @param prepare Changes the files in its folder of data before it starts.
   */
  static async start(
    settings: readonly string[] = [],
    prepare: (data: string) => Promise<void> = async () => {},
  ): Promise<PostgresServer> {
    const folder = await Deno.makeTempDir({ prefix: "wgd-postgres-" });
    const data = `${folder}/data`;
    const isRoot = Deno.uid() === 0;
    if (isRoot) await Deno.chown(folder, NOBODY.uid, NOBODY.gid);
    const initdb = await program("initdb", folder);
    const made = await new Deno.Command(initdb[0]!, {
      args: [
        ...initdb.slice(1),
        ...["--pgdata", data, "--username", "wgd", "--auth", "trust", "--no-sync"],
        ...["--encoding", "UTF8", "--locale", "C"],
      ],
      cwd: folder,
    }).output();
    ok(made.success, new TextDecoder().decode(made.stderr));
    await prepare(data);
    if (isRoot) await giveAway(data);
    const postgres = await program("postgres", folder);
    const process = new Deno.Command(postgres[0]!, {
      args: [
        ...postgres.slice(1),
        ...["-D", data, "-k", folder],
        ...["listen_addresses=", "fsync=off", ...settings].flatMap((setting) => ["-c", setting]),
      ],
      cwd: folder,
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const log = readLog(process, resolve, reject);
    await promise;
    return new PostgresServer(folder, process, log);
  }

  /** Makes a database. @returns Its URL. */
  async createDatabase(): Promise<string> {
    const name = `test${++this.#databases}`;
    await this.run(`CREATE DATABASE ${name}`);
    return this.url(name);
  }

  /** The URL of a database. */
  url(name: string): string {
    return `postgres://wgd@${encodeURIComponent(this.folder)}/${name}`;
  }

  /** Runs a statement as its administrator. @returns What psql prints. */
  async run(sql: string, database = "postgres"): Promise<string> {
    const { root, bin } = await peer("postgresql");
    const { success, stdout, stderr } = await new Deno.Command(`${root}/${bin}/psql`, {
      args: ["-h", this.folder, "-U", "wgd", "-d", database, "-v", "ON_ERROR_STOP=1", "-qAtc", sql],
      env: { PGCONNECT_TIMEOUT: "30" },
    }).output();
    ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  /** Ends it at once, with its connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGQUIT");
    await this.#process.status;
    await this.#log;
    await Deno.remove(this.folder, { recursive: true });
  }
}

/**
 * The words that run a program of the server, as root by the user nobody. The programs may have been unpacked where only
 * root can go, so nobody finds them below the server's folder.
 */
async function program(name: string, folder: string): Promise<string[]> {
  const { root, bin } = await peer("postgresql");
  if (Deno.uid() !== 0) return [`${root}/${bin}/${name}`];
  const place = `${folder}/programs`;
  await Deno.mkdir(place, { recursive: true });
  const script = `mount --bind "$1" "$2"; shift 2
    exec setpriv --reuid ${NOBODY.uid} --regid ${NOBODY.gid} --clear-groups "$@"`;
  return ["unshare", "--mount", "sh", "-ec", script, "sh", root, place, `${place}/${bin}/${name}`];
}

/** Makes files of root's those of the server. */
async function giveAway(folder: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile) await Deno.chown(`${folder}/${name}`, NOBODY.uid, NOBODY.gid);
  }
}

async function readLog(
  process: Deno.ChildProcess,
  ready: () => void,
  failed: (error: Error) => void,
): Promise<void> {
  let text = "";
  for await (const part of process.stderr!.pipeThrough(new TextDecoderStream())) {
    text = (text + part).slice(-10_000);
    if (text.includes("ready to accept connections")) ready();
  }
  failed(new Error(`PostgreSQL has ended:\n${text}`));
}
