/**
 * A program whose tunnel goes over a bad wire: it exchanges bytes with the server on several connections at once, made by
 * both sides. Run by bad_wire_test.ts; its arguments are the configuration file, the server's address and how many bytes.
 *
 * @module
 */

import { up } from "../../../mod.ts";
import { answer, exchange, PORT } from "./transfer.ts";

const [file = "", hostname = "", size = ""] = Deno.args;

await using net = await up(file);

using listener = net.listen({ port: PORT });
const accepted = (async () => {
  using conn = await listener.accept();
  await answer(conn);
})();
const connected = [1, 2].map(async (number) => {
  using conn = await net.connect({ hostname, port: PORT });
  console.log("connected", number);
  await exchange(conn, Number(size));
});
await Promise.all([...connected, accepted]);
console.log("the same both ways", (await net.state()).sockets);
