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
  readonly #command: Deno.Command;
  #process!: Deno.ChildProcess;
  #log!: Promise<void>;
  #databases = 0;

  private constructor(folder: string, command: Deno.Command) {
    this.folder = folder;
    this.#command = command;
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
    if (Deno.uid() === 0) await Deno.chown(folder, NOBODY.uid, NOBODY.gid);
    const made = await (await command(folder, "initdb", [
      ...["--pgdata", data, "--username", "wgd", "--auth", "trust", "--no-sync"],
      ...["--encoding", "UTF8", "--locale", "C"],
    ])).output();
    ok(made.success, new TextDecoder().decode(made.stderr));
    await prepare(data);
    if (Deno.uid() === 0) await giveAway(data);
    const server = new PostgresServer(
      folder,
      await command(folder, "postgres", [
        ...["-D", data, "-k", folder],
        ...["listen_addresses=", "fsync=off", ...settings].flatMap((setting) => ["-c", setting]),
      ]),
    );
    await server.restart();
    return server;
  }

  /** Starts it again after `stop`. */
  async restart(): Promise<void> {
    this.#process = this.#command.spawn();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#log = readLog(this.#process, resolve, reject);
    await promise;
  }

  /** Ends it at once, with its connections. */
  async stop(): Promise<void> {
    this.#process.kill("SIGQUIT");
    await this.#process.status;
    await this.#log;
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
  async run(sql: string, database = "postgres", port = 5432): Promise<string> {
    const { root, bin } = await peer("postgresql");
    const { success, stdout, stderr } = await new Deno.Command(`${root}/${bin}/psql`, {
      args: [
        "-h",
        this.folder,
        "-p",
        `${port}`,
        "-U",
        "wgd",
        "-d",
        database,
        "-v",
        "ON_ERROR_STOP=1",
        "-qAtc",
        sql,
      ],
      env: { PGCONNECT_TIMEOUT: "30" },
    }).output();
    ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  /** Ends it, and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/**
 * One of PostgreSQL's programs, not as root. What was unpacked in root's home is mounted where others can go, for this
 * program alone.
 *
 * @param folder Its working directory.
 */
async function command(folder: string, program: string, args: readonly string[]): Promise<Deno.Command> {
  const { root, bin } = await peer("postgresql");
  const options = {
    cwd: folder,
    env: { LC_ALL: "C" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  } as const;
  if (Deno.uid() !== 0) return new Deno.Command(`${root}/${bin}/${program}`, { ...options, args: [...args] });
  const place = root === "/" ? "/" : `${folder}/programs`;
  if (root !== "/") await Deno.mkdir(place, { recursive: true });
  const isolated = root === "/" ? [] : ["unshare", "--mount", "bash", "-c", MOUNT, "bash", root, place];
  const nobody = ["setpriv", "--reuid", `${NOBODY.uid}`, "--regid", `${NOBODY.gid}`, "--clear-groups"];
  const [first, ...words] = [...isolated, ...nobody, `${place}/${bin}/${program}`, ...args];
  return new Deno.Command(first!, { ...options, args: words });
}

/** Mounts the first argument at the second, and becomes the rest. */
const MOUNT = 'mount --bind "$1" "$2"; shift 2; exec "$@"';

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
