/**
 * A tunnel without any privilege: a program of the user nobody, with Deno's permission for the network and one file, against
 * a host that uses the kernel's TCP.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { bundle } from "./lab/guest_disk.ts";
import { CONFIG, NamedServer, NOBODY, serve } from "./lab/named_server.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommandAs } from "./lab/tunnel.ts";

const BYTES = 8_000_000;

/** A server with a page, and a file of nobody's for the tunnel to it. */
async function scene(): Promise<NamedServer> {
  await using made = new AsyncDisposableStack();
  const scene = made.use(await NamedServer.create({ quick: ["PostUp = touch /run/lab/hook"] }));
  await scene.giveToNobody();
  await serve(scene.server, "web_server.ts");
  made.move();
  return scene;
}

await rootTest("a program of nobody is a host of a WireGuard network", { programs: [] }, async () => {
  await using lab = await scene();
  const { user } = lab;
  // The program and its Deno lie where nobody can read them.
  await bundle(new URL("lab/rootless_program.ts", import.meta.url), user.path("/run/lab/program.js"));
  await Deno.copyFile(Deno.execPath(), user.path("/run/lab/deno"));
  await user.sh("chmod 755 /run/lab/deno");
  const links = await user.ok("ip", "-brief", "link");
  const deno = ["/run/lab/deno", "run", "--no-prompt", "--allow-net", `--allow-read=${CONFIG}`];
  const { code, stdout, stderr } = await user.run([
    ...["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--inh-caps=-all"],
    ...["--bounding-set=-all", "--no-new-privs", "env", "-i", "PATH=/usr/bin:/bin"],
    ...deno,
    ...["/run/lab/program.js", CONFIG, "http://10.8.0.1/", String(BYTES)],
  ], { timeout: 60_000 });
  equal(code, 0, stderr);
  equal(
    stdout,
    "page 200 hello 10.8.0.2\necho true\nupload true\nserved served /asked\nping true\nstate node 1\n",
  );
  equal(await user.ok("ip", "-brief", "link"), links, "no interface was made");
  equal(await user.sh("ls /run/lab/hook 2>/dev/null || echo none"), "none\n", "no hook was run");
});

await rootTest(
  "wgd proxy as nobody: curl by SOCKS5 and HTTP, forwards both ways, standard input and output",
  { programs: ["curl"] },
  async () => {
    await using lab = await scene();
    const { user } = lab;
    const command = await wgdCommandAs(NOBODY, user);
    await user.sh("printf 'anna:secret\\n' > /run/lab/credentials; chmod 644 /run/lab/credentials");
    const web = "10.8.0.1:80";
    const proxy = await user.start([
      ...command,
      ...["proxy", CONFIG, "--socks5", "1080", "--http", "127.0.0.1:1081"],
      ...[
        "--forward",
        `1082=${web}`,
        "--reverse",
        "8080=127.0.0.1:1083",
        "--credentials",
        "/run/lab/credentials",
      ],
    ]);
    const own = await user.start([
      Deno.execPath(),
      ...["eval", "Deno.serve({ hostname: '127.0.0.1', port: 1083 }, () => new Response('mine'))"],
    ]);
    const curl = (...words: string[]) =>
      user.run(["curl", "--silent", "--show-error", "--max-time", "20", ...words]);
    await eventually("the proxy", async () => (await curl("http://127.0.0.1:1082/")).code === 0);
    const hello = async (...words: string[]) => {
      const { code, stdout, stderr } = await curl(...words);
      deepEqual([code, stdout], [0, "hello 10.8.0.2"], stderr + proxy.output());
    };
    await hello("--proxy", "socks5h://anna:secret@127.0.0.1:1080", `http://${web}/`);
    await hello("--proxy", "http://anna:secret@127.0.0.1:1081", `http://${web}/`);
    await hello("--proxy", "http://anna:secret@127.0.0.1:1081", "--proxytunnel", `http://${web}/`);
    await hello("http://127.0.0.1:1082/");
    for (const wrong of ["socks5h://127.0.0.1:1080", "socks5h://anna:wrong@127.0.0.1:1080"]) {
      equal((await curl("--proxy", wrong, `http://${web}/`)).code, 97, wrong);
    }
    const { stdout } = await curl(
      "--output",
      "/dev/null",
      "--write-out",
      "%{http_code}",
      "--proxy",
      "http://127.0.0.1:1081",
      `http://${web}/`,
    );
    equal(stdout, "407");
    equal((await curl(`http://127.0.0.1:1082/ask?port=8080`)).stdout, "mine");
    const spoken = await user.run([...command, "proxy", CONFIG, "--stdio", web], {
      stdin: "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n",
    });
    match(spoken.stdout, /hello 10\.8\.0\.2$/);
    await proxy.signal("TERM");
    equal((await proxy.ended).code, 143);
    await own.signal("TERM");
  },
);
