/**
 * A program that uses a database through a tunnel of its own, by a driver that knows nothing of tunnels. Its arguments are
 * the configuration file and the server's name.
 *
 * @module
 */

import postgres from "postgres";
import { up } from "../../../mod.ts";

const [file = "", hostname = ""] = Deno.args;
await using net = await up(file);

const sql = postgres({
  user: "postgres",
  database: "postgres",
  // The driver's types lack this option: a stream, or a promise of one, to use as its socket.
  ...{ socket: () => net.duplex({ hostname, port: 5432 }) },
  max: 4,
});
await sql`create table device (id int primary key, name text not null, picture bytea not null)`;
const picture = new Uint8Array(100_000).map((_, i) => i * 13 + (i >> 8));
await Promise.all(
  Array.from(
    { length: 20 },
    (_, id) => sql`insert into device values (${id}, ${`device ${id}`}, ${picture})`,
  ),
);
const rows = await sql`select name, picture from device order by id`;
console.log("rows", rows.length, rows[7]!.name);
console.log("same", rows.every((row) => picture.every((byte, i) => row.picture[i] === byte)));
const wrong = await sql`select * from nothing`.then(() => "taken", (error: { code?: string }) => error.code);
console.log("refused", wrong);
await sql.end();
