/**
 * The README's sections without root, run word for word by the user nobody.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { bundle } from "./lab/guest_disk.ts";
import { FOLDER, NamedServer, nameServer, NOBODY, serve } from "./lab/named_server.ts";
import { section } from "./lab/readme.ts";
import { rootTest } from "./lab/rooted.ts";
import { makeSshKey, SSH_CONFIG, SSH_PROGRAMS, startSshServer } from "./lab/ssh_server.ts";
import { wgdCommandAs } from "./lab/tunnel.ts";

const HOME = `${FOLDER}/user-${NOBODY}`;
const RUNTIME = `${FOLDER}/runtime`;

/** A user's machine without anything of root's, and a server behind the tunnel. */
class Scene implements AsyncDisposable {
  private constructor(readonly named: NamedServer) {}

  static async create(): Promise<Scene> {
    await using made = new AsyncDisposableStack();
    const named = made.use(await NamedServer.create());
    const { user, server } = named;
    await named.giveToNobody();
    // wgd in the user's folder, which is in PATH, and the folder that systemd makes at login.
    await wgdCommandAs(NOBODY, user);
    await user.sh(`mkdir -m 700 ${RUNTIME}; chown ${NOBODY} ${RUNTIME} ${FOLDER}`);
    await serve(server, "web_server.ts");
    made.move();
    return new Scene(named);
  }

  /** The words that type a block as nobody, with nothing but what a login sets. */
  typing(code: string): string[] {
    return [
      ...[
        "setpriv",
        "--reuid",
        String(NOBODY),
        "--regid",
        String(NOBODY),
        "--clear-groups",
        "--inh-caps=-all",
      ],
      ...["--bounding-set=-all", "env", "-i", `HOME=${HOME}`, `XDG_RUNTIME_DIR=${RUNTIME}`, "SHELL=/bin/sh"],
      ...[`PATH=${HOME}:/usr/bin:/bin`, "bash", "-euo", "pipefail", "-c", `cd ${FOLDER}; ${code}`],
    ];
  }

  /** Runs a block, which must succeed. @returns Its output. */
  async type(code: string, stdin = ""): Promise<string> {
    const { code: status, stdout, stderr } = await this.named.user.run(this.typing(code), { stdin });
    equal(status, 0, `${code}printed:\n${stdout}${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.named[Symbol.asyncDispose]();
  }
}

await rootTest("the README's proxy, forward and ssh without root", {
  programs: ["curl", "dnsmasq", ...SSH_PROGRAMS],
}, async () => {
  await using scene = await Scene.create();
  const { user, server } = scene.named;
  await nameServer(server, "intranet", "db.internal", "host.internal");
  await server.start([Deno.execPath(), "eval", "Deno.serve({ port: 5432 }, () => new Response('database'))"]);
  // Deno may lie in the home of root, which is another one from now on.
  await startSshServer(server, await makeSshKey(user));
  await user.ownEtc("");
  await user.sh(`chown ${NOBODY} ${FOLDER}/key; cat > /etc/ssh/ssh_config.d/lab.conf`, {
    stdin: `${SSH_CONFIG}User root\n`,
  });

  const [proxy, programs] = section("Without root");
  const running = await user.start(scene.typing(proxy!));
  const database = await eventually("the forwarded port", async () => {
    const { code, stdout } = await user.run([
      "curl",
      "--silent",
      "--max-time",
      "20",
      "http://127.0.0.1:5432/",
    ]);
    return code === 0 ? stdout : undefined;
  }, { within: 30_000 });
  equal(database, "database");
  // ssh runs what it reads.
  match(
    await scene.type(programs!, "echo $SSH_CONNECTION"),
    /^hello 10\.8\.0\.210\.8\.0\.2 \d+ 10\.8\.0\.1 22\n$/,
  );
  await running.signal("INT");
  equal((await running.ended).code, 130, running.output());
});

await rootTest("the README's program and shell in a separate network", {
  programs: ["curl", "dnsmasq"],
}, async () => {
  await using scene = await Scene.create();
  const { user, server } = scene.named;
  await nameServer(server, "intranet");
  // The device as most systems have it.
  await user.sh(
    `mknod -m 666 ${FOLDER}/tun c 10 200; touch /dev/net/tun; mount --bind ${FOLDER}/tun /dev/net/tun`,
  );
  await user.ownEtc("nameserver 192.0.2.53\n");
  const [, , exec, ...more] = section("Without root");
  deepEqual(more, []);
  equal(
    await scene.type(exec!, "curl --silent http://intranet/; ip -brief link | cut -d' ' -f1"),
    "hello 10.8.0.2hello 10.8.0.2lo\nclient\n",
  );
});

await rootTest("the README's script without root", { programs: [] }, async () => {
  await using scene = await Scene.create();
  const { user } = scene.named;
  // Deno and the library, as one file, where nobody can read them.
  await Deno.copyFile(Deno.execPath(), user.path(`${HOME}/deno`));
  await bundle(new URL("../../mod.ts", import.meta.url), user.path(`${FOLDER}/wgd.js`));
  await user.sh(`chmod 755 ${HOME}/deno; cat > ${FOLDER}/deno.json`, {
    stdin: JSON.stringify({ imports: { "@wgd/wgd": "./wgd.js" } }),
  });
  const [script] = section("From a script", "ts");
  await user.sh(`cat > ${FOLDER}/script.ts`, { stdin: script! });
  const [command, ...more] = section("From a script");
  deepEqual(more, []);
  equal(await scene.type(command!), "hello 10.8.0.2\n");
});
