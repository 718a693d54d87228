/**
 * `wgd peer` for a network of `wgd web`: it changes the store that the page shows, while the server runs and while it
 * does not.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { ServerPeer } from "../../core/peers/list.ts";
import { eventually, type Finished } from "./lab/exec.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { DATA, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const NEEDS = { programs: WEB_PROGRAMS };
const wgd = wgdCommand();

function peer(lab: WebLab, action: string, ...words: string[]): Promise<Finished> {
  return lab.server.run([...wgd, "peer", action, "wg0", ...words, "--data", DATA]);
}

async function must(lab: WebLab, action: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await peer(lab, action, ...words);
  equal(code, 0, stderr);
  return stdout + stderr;
}

async function names(lab: WebLab): Promise<string[]> {
  const { body: { items } } = await lab.call("GET", "/devices");
  return items.map(({ name }: { name: string }) => name);
}

/** Brings the phone up by the file that `wgd peer add` wrote on the server. */
async function connect(lab: WebLab, file: string): Promise<void> {
  await lab.phone.sh("umask 077; cat > /run/lab/wg1.conf", { stdin: await lab.server.sh(`cat ${file}`) });
  await lab.phone.ok(...wgd, "quick", "up", "/run/lab/wg1.conf");
  await eventually("the phone to ping", () => lab.pings());
}

await rootTest("wgd peer and the page of wgd web show the same devices", NEEDS, async () => {
  await using lab = await WebLab.start();
  await lab.addDevice("tablet");
  const file = "/run/lab/anna.conf";
  match(
    await must(lab, "add", "Anna", "--output", file),
    /^wgd: Anna is 10\.8\.0\.3\/32, fd08::3\/128; its configuration: \/run\/lab\/anna\.conf\n$/,
  );
  equal((await lab.server.sh(`stat -c %a ${file}`)).trim(), "600");
  await connect(lab, file);
  deepEqual(await names(lab), ["Anna", "tablet"]);
  equal((await lab.addDevice("later")).config.includes("10.8.0.4"), true, "no two devices have one address");

  const { peers }: { peers: ServerPeer[] } = JSON.parse(await must(lab, "list", "--json"));
  deepEqual(
    peers.map(({ name, allowedIps: [first], inFile, running }) => [name, first, inFile, running]),
    [
      ["Anna", "10.8.0.3/32", true, true],
      ["later", "10.8.0.4/32", true, true],
      ["tablet", "10.8.0.2/32", true, true],
    ],
  );
  ok(peers[0]!.rxBytes > 0 && peers[0]!.latestHandshake !== null);
  match(await must(lab, "show", "Anna"), /^Anna \S{44}\n +allowed ips +10\.8\.0\.3\/32, fd08::3\/128\n/);

  const id = (await lab.call("GET", "/devices?search=tablet")).body.items[0].id;
  equal((await lab.call("PATCH", `/devices/${id}`, { disabled: true })).status, 200);
  match(await must(lab, "show", "tablet"), /not in the running interface/);

  match(await must(lab, "remove", "Anna"), /^wgd: wg0 has no peer Anna any more \(\S{44}\)\n$/);
  equal(await lab.pings(), false, "the tunnel ends at once");
  deepEqual(await names(lab), ["later", "tablet"]);
  const { stderr } = await peer(lab, "remove", "Anna");
  match(stderr, /^wgd: wg0 has no peer named "Anna"\nhint: /);
});

await rootTest("wgd peer changes nothing if it cannot add a device of wgd web", NEEDS, async () => {
  await using lab = await WebLab.start();
  const refuse = async (pattern: RegExp, ...words: string[]) => {
    const before = [await names(lab), await lab.peers()];
    const { code, stderr } = await peer(lab, "add", ...words);
    equal(code, 1, stderr);
    match(stderr, pattern);
    deepEqual([await names(lab), await lab.peers()], before);
  };
  await must(lab, "add", "Anna", "--output", "/run/lab/anna.conf");
  await refuse(/already has a peer named "Anna"/, "Anna", "--output", "/run/lab/other.conf");
  await refuse(/already exists\nhint: /, "Bert", "--output", "/run/lab/anna.conf");
  await refuse(/10\.8\.0\.2 is not free/, "Bert", "--output", "/run/lab/b.conf", "--address", "10.8.0.2");
  await refuse(/is a network/, "Bert", "--output", "/run/lab/b.conf", "--address", "10.8.0.0/25");
  await refuse(/not an address/, "Bert", "--output", "/run/lab/b.conf", "--address", "10.8.0.300");
  await refuse(/always have a preshared key/, "Bert", "--output", "/run/lab/b.conf", "--no-preshared-key");
  await refuse(/use at most 64/, "B".repeat(65), "--output", "/run/lab/b.conf");
  equal((await lab.server.run(["test", "-e", "/run/lab/b.conf"])).code, 1);
  const { stderr } = await lab.server.run([...wgd, "peer", "list", "wg7", "--data", DATA]);
  match(stderr, /has no interface named wg7\nhint: /);
});

await rootTest("wgd peer changes devices while wgd web does not run", NEEDS, async () => {
  await using lab = await WebLab.start();
  const tablet = await lab.addDevice("tablet");
  await lab.process.signal("TERM");
  await lab.process.ended;
  await must(lab, "add", "Anna", "--output", "/run/lab/anna.conf");
  await connect(lab, "/run/lab/anna.conf");
  await must(lab, "remove", "tablet");
  const anna = await lab.peers();
  equal(anna.length, 1);
  equal(anna.includes(tablet.keys.publicKey), false, "the interface stays up");
  await lab.server.ok("wg", "set", "wg0", "peer", generateKeys().publicKey, "allowed-ips", "10.8.0.9/32");
  match(await must(lab, "list"), /lost when the interface comes up again/);

  await lab.run();
  deepEqual(await names(lab), ["Anna"]);
  await lab.settled();
  deepEqual(await lab.peers(), anna, "the stranger is removed");
  ok(await lab.pings(), "the tunnel still works");
});

await rootTest(
  "wgd peer leaves no file if it cannot write the audit log, and can be repeated",
  NEEDS,
  async () => {
    await using lab = await WebLab.start();
    // On the server, because SQLite follows links to the file.
    const change = (statement: string) =>
      lab.server.ok(
        Deno.execPath(),
        "eval",
        `import { DatabaseSync } from "node:sqlite";
        new DatabaseSync("${DATA}/web/wgd.db").exec(${JSON.stringify(statement)});`,
      );
    const add = ["Anna", "--output", "/run/lab/anna.conf"];
    await change(
      "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    );
    const { code, stderr } = await peer(lab, "add", ...add);
    equal(code, 1, stderr);
    match(stderr, /disk is full/);
    equal((await lab.server.run(["test", "-e", "/run/lab/anna.conf"])).code, 1);
    deepEqual([await names(lab), await lab.peers()], [[], []]);
    await change("DROP TRIGGER full");
    await must(lab, "add", ...add);
    deepEqual(await names(lab), ["Anna"]);
  },
);

/** A keeper that ends at the first request that would change an interface. */
const ENDING_KEEPER = `
  const conn = await Deno.listen({ transport: "unix", path: "${DATA}/keeper.sock" }).accept();
  for await (const line of conn.readable.pipeThrough(new TextDecoderStream())) {
    const { id, verb } = JSON.parse(line);
    if (verb === "addPeers") Deno.exit();
    await conn.write(new TextEncoder().encode(JSON.stringify({ id, gives: [] }) + "\\n"));
  }`;

await rootTest("wgd peer leaves no device whose private key is lost if the keeper ends", NEEDS, async () => {
  await using lab = await WebLab.start();
  await lab.process.signal("TERM");
  await lab.process.ended;
  const keeper = await lab.server.start([Deno.execPath(), "eval", ENDING_KEEPER]);
  await eventually(
    "the keeper to listen",
    async () => (await lab.server.run(["test", "-S", `${DATA}/keeper.sock`])).code === 0,
  );
  const { code, stderr } = await peer(lab, "add", "Anna", "--output", "/run/lab/anna.conf");
  equal(code, 1, stderr);
  match(stderr, /the keeper/);
  await keeper.ended;
  await lab.server.ok("rm", `${DATA}/keeper.sock`);
  await lab.run();
  deepEqual(await names(lab), []);
  equal((await lab.server.run(["test", "-e", "/run/lab/anna.conf"])).code, 1);
  await must(lab, "add", "Anna", "--output", "/run/lab/anna.conf");
});
