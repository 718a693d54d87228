/**
 * The library as its users see it: examples that need root, from its documentation and from the README. Each is a
 * separate program that imports the library by its name.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readdirSync } from "node:fs";
import { must } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { formatConfig, generateKeys } from "./lab/keys.ts";
import { serve } from "./lab/named_server.ts";
import { connect, Network } from "./lab/network.ts";
import { section } from "./lab/readme.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const wgd = wgdCommand();
const PROGRAMS = ["wg"];
const FOLDER = "/run/lab/user";

/** A program out of a text. */
interface Example {
  /** Where it is. */
  readonly place: string;
  readonly code: string;
}

/** Examples that `deno test --doc` skips, because they need root: `ts ignore` in doc comments. */
function documented(): Example[] {
  const files = readdirSync(`${ROOT}core`, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts")).map((name) => `core/${name}`).sort();
  return ["mod.ts", ...files].flatMap((file) => {
    const text = Deno.readTextFileSync(`${ROOT}${file}`);
    return [...text.matchAll(/^( *\* )```ts ignore\n([^]*?)^\1```$/gm)].map((match) => ({
      place: `${file}:${text.slice(0, match.index).split("\n").length}`,
      code: match[2]!.replace(/^ *\* ?/gm, ""),
    }));
  });
}

/** The programs of the README. */
function readme(): Example[] {
  return section("From a script", "ts").map((code) => ({ place: "README.md: From a script", code }));
}

/** A user's machine, whose interface wg0 has a peer that answers. */
class Scene {
  private constructor(readonly network: Network, readonly host: Host) {}

  static async create(): Promise<Scene> {
    await using made = new AsyncDisposableStack();
    const network = made.use(await Network.create("user", "server"));
    const [user, server] = network.hosts;
    await connect(
      { host: user, name: "eth0", addresses: ["192.0.2.2/24"] },
      { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    );
    const [keys, theirs, script] = [generateKeys(), generateKeys(), generateKeys()];
    const up = async (host: Host, text: string) => {
      await host.sh("mkdir -p /etc/wireguard; mount -t tmpfs -o mode=700 tmpfs /etc/wireguard");
      await host.sh("umask 077; cat > /etc/wireguard/wg0.conf", { stdin: text });
      const { code, stderr } = await host.run([...wgd, "quick", "up", "wg0"]);
      equal(code, 0, stderr);
    };
    await up(
      server,
      formatConfig({
        privateKey: theirs.privateKey,
        listenPort: 51820,
        quick: ["Address = 10.0.0.1/24, 10.8.0.1/24"],
        peers: [
          { publicKey: keys.publicKey, allowedIps: ["10.0.0.2/32"] },
          { publicKey: script.publicKey, allowedIps: ["10.8.0.2/32"] },
        ],
      }),
    );
    const peer = { publicKey: theirs.publicKey, endpoint: "192.0.2.1:51820", persistentKeepalive: 25 };
    await up(
      user,
      formatConfig({
        privateKey: keys.privateKey,
        quick: ["Address = 10.0.0.2/24"],
        peers: [{ ...peer, allowedIps: ["10.0.0.0/24"] }],
      }),
    );
    // The files for an example: one for another interface, and wgd in PATH.
    await user.sh(
      `mkdir -p ${FOLDER} /run/lab/bin; cd ${FOLDER}
       printf '#!/bin/sh\\nexec ${wgd.join(" ")} "$@"\\n' > /run/lab/bin/wgd; chmod 755 /run/lab/bin/wgd
       umask 077; cat > client.conf`,
      {
        stdin: formatConfig({
          privateKey: script.privateKey,
          quick: ["Address = 10.8.0.2/24"],
          peers: [{ ...peer, allowedIps: ["10.8.0.0/24"] }],
        }),
      },
    );
    await serve(server, "web_server.ts");
    made.move();
    return new Scene(network, user);
  }

  /** Runs a program as its user would. @returns What it printed. */
  async run({ place, code }: Example): Promise<string> {
    const { host } = this;
    const file = `${FOLDER}/program.ts`;
    await host.sh(`cat > ${file}`, { stdin: code });
    await host.sh(`cat > ${FOLDER}/deno.json`, {
      stdin: JSON.stringify({ imports: { "@wgd/wgd": `${ROOT}mod.ts` } }),
    });
    const program = [Deno.execPath(), "run", "--allow-all", "--quiet", "--no-lock", "program.ts"];
    const script = `cd ${FOLDER}; PATH=/run/lab/bin:$PATH exec ${program.join(" ")} 2>&1`;
    const { code: status, stdout } = await host.run(["sh", "-ec", script]);
    equal(status, 0, `${place}: ${stdout}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
  }
}

Deno.test("the examples that need root compile for a user", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const examples = [...documented(), ...readme()];
    ok(examples.length >= 10);
    await Deno.writeTextFile(
      `${folder}/deno.json`,
      JSON.stringify({ imports: { "@wgd/wgd": `${ROOT}mod.ts` } }),
    );
    const files = examples.map(({ place, code }) => {
      const file = `${folder}/${place.replace(/\W/g, "_")}.ts`;
      Deno.writeTextFileSync(file, code);
      return file;
    });
    await must([
      Deno.execPath(),
      "check",
      "--quiet",
      "--no-lock",
      "--config",
      `${folder}/deno.json`,
      ...files,
    ], {
      env: { NO_COLOR: "1" },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

await rootTest(
  "the documentation's examples run as programs of a user",
  { programs: PROGRAMS },
  async (t) => {
    await using scene = await Scene.create();
    const links = () => scene.host.ok("ip", "-brief", "link");
    const before = await links();
    for (const example of documented()) {
      await t.step(example.place, async () => void await scene.run(example));
      equal(await links(), before, `${example.place} leaves nothing behind`);
    }
  },
);

await rootTest("the README's programs work", { programs: PROGRAMS }, async () => {
  await using scene = await Scene.create();
  const [rootless, privileged, ...more] = readme();
  deepEqual(more, []);
  equal(await scene.run(rootless!), "hello 10.8.0.2\n");
  match(await scene.run(privileged!), /^[A-Za-z0-9+/]{43}= \d+$/m);
});
