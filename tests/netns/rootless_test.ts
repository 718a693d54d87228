/**
 * A tunnel without any privilege: a program of the user nobody, with Deno's permission for the network and one file, against
 * a host that uses the kernel's TCP.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { bundle } from "./lab/guest_disk.ts";
import { formatConfig, generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const BYTES = 8_000_000;
/** The user nobody. */
const NOBODY = 65_534;

await rootTest("a program of nobody is a host of a WireGuard network", { programs: [] }, async () => {
  await using network = await Network.create("user", "server");
  const [user, server] = network.hosts;
  await connect(
    { host: user, name: "eth0", addresses: ["192.0.2.2/24"] },
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
  );
  const [keys, theirs] = [generateKeys(), generateKeys()];
  await server.sh("umask 077; cat > /run/lab/wg0.conf", {
    stdin: formatConfig({
      privateKey: theirs.privateKey,
      listenPort: 51820,
      quick: ["Address = 10.8.0.1/24"],
      peers: [{ publicKey: keys.publicKey, allowedIps: ["10.8.0.2/32"] }],
    }),
  });
  await server.ok(...wgd, "quick", "up", "/run/lab/wg0.conf");
  // The program and its Deno lie where nobody can read them.
  const here = new URL("./lab/", import.meta.url);
  await bundle(new URL("rootless_program.ts", here), user.path("/run/lab/program.js"));
  await Deno.copyFile(Deno.execPath(), user.path("/run/lab/deno"));
  await user.sh(
    `cat > /run/lab/client.conf; chmod 755 /run /run/lab /run/lab/deno; chown ${NOBODY} /run/lab/client.conf`,
    {
      stdin: formatConfig({
        privateKey: keys.privateKey,
        quick: ["Address = 10.8.0.2/24", "PostUp = touch /run/lab/hook"],
        peers: [{ publicKey: theirs.publicKey, endpoint: "192.0.2.1:51820", allowedIps: ["10.8.0.0/24"] }],
      }),
    },
  );
  const web = await server.start([
    Deno.execPath(),
    "run",
    "--allow-net",
    "--no-check",
    new URL("web_server.ts", here).pathname,
  ]);
  await eventually("the web server", () => Promise.resolve(web.output().includes("ready")));
  const links = await user.ok("ip", "-brief", "link");
  const deno = ["/run/lab/deno", "run", "--no-prompt", "--allow-net", "--allow-read=/run/lab/client.conf"];
  const { code, stdout, stderr } = await user.run([
    ...["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--inh-caps=-all"],
    ...["--bounding-set=-all", "--no-new-privs", "env", "-i", "PATH=/usr/bin:/bin"],
    ...deno,
    ...["/run/lab/program.js", "/run/lab/client.conf", "http://10.8.0.1/", String(BYTES)],
  ], { timeout: 60_000 });
  equal(code, 0, stderr);
  equal(
    stdout,
    "page 200 hello 10.8.0.2\necho true\nupload true\nserved served /asked\nping true\nstate node 1\n",
  );
  equal(await user.ok("ip", "-brief", "link"), links, "no interface was made");
  equal(await user.sh("ls /run/lab/hook 2>/dev/null || echo none"), "none\n", "no hook was run");
});
