/**
 * PostgreSQL's own: addresses, passwords, encryption, and a server that is away.
 *
 * @module
 */

import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { Authority } from "../../../core/web/keeper/certificates.ts";
import type { Database } from "../../../core/web/store/database.ts";
import { DatabaseError } from "../../../core/web/store/errors.ts";
import { openPostgres } from "../../../core/web/store/postgres.ts";
import {
  findPassword,
  formatPostgresAddress,
  parsePostgresAddress,
  PostgresAddressError,
} from "../../../core/web/store/postgres_address.ts";
import { whyNoPeer } from "../../netns/peers/mod.ts";
import { freePort } from "../../free_port.ts";
import { testUnless } from "../../skip.ts";
import { PostgresServer } from "./postgres_server.ts";

const noPostgres = await whyNoPeer("postgresql");

const SOCKET = "/run/postgresql";

Deno.test("parsePostgresAddress(): URLs and their defaults", () => {
  const here = { port: 5432, database: "wgd", user: "wgd" };
  const proved = { tls: { rejectUnauthorized: true } };
  for (
    const [url, address] of [
      ["postgres:///", { ...here, host: SOCKET }],
      ["postgresql:///other?host=/tmp", { ...here, host: "/tmp", database: "other" }],
      ["postgres://%2Ftmp/wgd", { ...here, host: "/tmp" }],
      ["postgres://localhost", { ...here, host: "localhost" }],
      ["postgres://127.0.0.1:5433/", { ...here, host: "127.0.0.1", port: 5433 }],
      ["postgres://[::1]/wgd", { ...here, host: "::1" }],
      ["postgres://db.example/wgd", { ...here, host: "db.example", ...proved }],
      ["postgres://[2001:db8::1]/wgd", { ...here, host: "2001:db8::1", ...proved }],
      ["postgres://db.example/wgd?sslmode=disable", { ...here, host: "db.example" }],
      [
        "postgres://db.example?sslmode=require",
        { ...here, host: "db.example", tls: { rejectUnauthorized: false } },
      ],
      [
        "postgres://localhost?sslrootcert=/etc/ca.pem",
        { ...here, host: "localhost", tls: { rejectUnauthorized: true, caFile: "/etc/ca.pem" } },
      ],
      [
        "postgres://an%40na:p%3Aw%2F%25@localhost/a%20b",
        { ...here, host: "localhost", user: "an@na", password: "p:w/%", database: "a b" },
      ],
    ] as const
  ) {
    deepEqual(parsePostgresAddress(url), address, url);
    const { password: _, ...open } = { password: undefined, ...address };
    const shown = formatPostgresAddress(address);
    deepEqual(parsePostgresAddress(shown), open, shown);
    ok(!shown.includes("p%3Aw"), "the password is not shown");
  }
  for (
    const url of [
      "",
      "wgd",
      "mysql://localhost/wgd",
      "postgres://localhost/wgd?sslmode=prefer",
      "postgres://localhost/wgd?user=x",
      "postgres:///wgd?sslmode=require",
      "postgres://db.example/wgd?sslmode=require&sslrootcert=/ca.pem",
      "postgres://a%zz@localhost/wgd",
    ]
  ) throws(() => parsePostgresAddress(url), PostgresAddressError, url);
});

Deno.test("findPassword(): the first line that matches, as in libpq", () => {
  const file = [
    "# host:port:database:user:password",
    "db.example:5432:wgd:wgd:first",
    String.raw`db.example:*:a\:b:*:with \: and \\`,
    "localhost:*:*:*:of the socket",
    "*:*:*:other:",
    "incomplete:*:*",
    "*:5433:*:*:last:not this",
  ].join("\n");
  const passwordOf = (url: string) => findPassword(file, parsePostgresAddress(url));
  equal(passwordOf("postgres://db.example"), "first");
  equal(passwordOf("postgres://db.example/a%3Ab"), "with : and \\");
  equal(passwordOf("postgres:///"), "of the socket");
  equal(passwordOf("postgres:///?host=/tmp"), undefined);
  equal(passwordOf("postgres://[::1]:5433/"), "last");
  equal(passwordOf("postgres://other@[::1]:5433/"), "");
  equal(passwordOf("postgres://incomplete"), undefined);
});

testUnless("PostgreSQL: a server on another machine must prove its identity", noPostgres, async () => {
  const folder = await Deno.makeTempDir({ prefix: "wgd-tls-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const now = Date.now();
  const authority = await Authority.open(`${folder}/ca.key`, `${folder}/ca.pem`, now);
  await Authority.open(`${folder}/other.key`, `${folder}/other.pem`, now);
  const port = freePort();
  // Where a server is named by its address, its certificate has to name it so.
  const { chain, key } = authority.issue(["localhost"], now);
  const server = stack.use(
    await PostgresServer.start(["listen_addresses=127.0.0.1", `port=${port}`, "ssl=on"], async (data) => {
      await Deno.writeTextFile(`${data}/server.crt`, chain);
      await Deno.writeTextFile(`${data}/server.key`, key, { mode: 0o600 });
      await Deno.writeTextFile(
        `${data}/pg_hba.conf`,
        "local all all trust\nhostssl all all 127.0.0.1/32 trust\n",
      );
    }),
  );
  await server.run("CREATE DATABASE test", "postgres", port);
  const open = (host: string, options: string) =>
    openPostgres(parsePostgresAddress(`postgres://wgd@${host}:${port}/test?${options}`));
  const encrypted = async (opening: Promise<Database>) => {
    await using database = await opening;
    return (await database.get("SELECT count(*) AS n FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"))!
      .n;
  };
  equal(await encrypted(open("localhost", `sslrootcert=${folder}/ca.pem`)), 1);
  equal(await encrypted(open("localhost", "sslmode=require")), 1);
  await rejects(open("localhost", `sslrootcert=${folder}/other.pem`), /certificate|issuer/i);
  await rejects(
    open("localhost", "sslmode=verify-full"),
    /certificate|issuer/i,
    "an unknown authority is refused",
  );
  await rejects(
    open("127.0.0.1", `sslrootcert=${folder}/ca.pem`),
    /name|certificate/i,
    "the certificate of another server is refused",
  );
  await rejects(open("localhost", "sslmode=disable"), /no encryption/);
});

testUnless("PostgreSQL: a password is required, and no error contains it", noPostgres, async () => {
  const port = freePort();
  await using server = await PostgresServer.start(
    ["listen_addresses=127.0.0.1", `port=${port}`],
    (data) =>
      Deno.writeTextFile(
        `${data}/pg_hba.conf`,
        "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
      ),
  );
  await server.run("ALTER ROLE wgd PASSWORD 'the right one'", "postgres", port);
  const open = (password: string) =>
    openPostgres(
      parsePostgresAddress(`postgres://wgd:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`),
    );
  await using _database = await open("the right one");
  for (const password of ["the wrong one", ""]) {
    const error = await open(password).then(() => ok(false), (error: Error) => error);
    ok(error instanceof DatabaseError, String(error));
    match(error.message, new RegExp(`^postgres://wgd@127\\.0\\.0\\.1:${port}/postgres: .*password`));
    ok(!Deno.inspect(error).includes("the wrong one"), Deno.inspect(error));
  }
  await rejects(
    openPostgres(parsePostgresAddress(`postgres://wgd:the%20right%20one@127.0.0.1:${port}/none`)),
    /"none" does not exist/,
  );
});

testUnless(
  "PostgreSQL: an unavailable server causes an error until it is back",
  noPostgres,
  async () => {
    await using server = await PostgresServer.start();
    const url = await server.createDatabase();
    await using database = await openPostgres(parsePostgresAddress(url));
    // A process that stops inside a transaction does not keep others waiting for ever.
    const { idle } = (await database.get(
      "SELECT setting AS idle FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'",
    ))!;
    equal(idle, "30000");
    await database.run("CREATE TABLE t (a BIGINT PRIMARY KEY)");
    const begun = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<void>();
    const broken = database.transaction(async (queries) => {
      await queries.run("INSERT INTO t VALUES (?)", 1);
      begun.resolve();
      await stopped.promise;
      await queries.run("INSERT INTO t VALUES (?)", 2);
    });
    await begun.promise;
    server.stop().then(stopped.resolve, stopped.reject);
    await Promise.all([stopped.promise, rejects(broken, DatabaseError)]);
    await rejects(database.get("SELECT * FROM t"), DatabaseError);
    await rejects(database.run("INSERT INTO t VALUES (?)", 3), DatabaseError);
    await server.restart();
    deepEqual(await database.all("SELECT * FROM t"), []);
    equal(await database.run("INSERT INTO t VALUES (?)", 4), 1);
  },
);
