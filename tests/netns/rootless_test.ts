/**
 * A tunnel without any privilege: a program of the user nobody, with Deno's permission for the network and one file, against
 * hosts that use the kernel's TCP, and one of them the kernel's WireGuard as well.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { Guest } from "./lab/guest.ts";
import { bundle, imageWith, putWgd } from "./lab/guest_disk.ts";
import { Host } from "./lab/host.ts";
import { formatConfig, generateKeys } from "./lab/keys.ts";
import { CONFIG, NamedServer, NOBODY, serve } from "./lab/named_server.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommandAs } from "./lab/tunnel.ts";
import { peer } from "./peers/mod.ts";

/** What the program prints. */
const PRINTED =
  "page 200 hello 10.8.0.2\necho true\nupload true\nserved served /asked\nping true\nstate node 1\n";

/** A server with a page, and a file of nobody's for the tunnel to it. */
async function scene(): Promise<NamedServer> {
  await using made = new AsyncDisposableStack();
  const scene = made.use(await NamedServer.create({ quick: ["PostUp = touch /run/lab/hook"] }));
  await scene.giveToNobody();
  await serve(scene.server, "web_server.ts");
  made.move();
  return scene;
}

/**
 * Runs the program as nobody, with no capability and with Deno's permission for the network and the file alone.
 *
 * @param bytes How long the bodies are that it sends and gets.
 * @returns What it printed.
 */
async function runProgram(user: Host, bytes: number): Promise<string> {
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
    ...["/run/lab/program.js", CONFIG, "http://10.8.0.1/", String(bytes)],
  ], { timeout: 120_000 });
  equal(code, 0, stderr);
  equal(await user.ok("ip", "-brief", "link"), links, "no interface was made");
  return stdout;
}

await rootTest("a program of nobody is a host of a WireGuard network", { programs: [] }, async () => {
  await using lab = await scene();
  equal(await runProgram(lab.user, 8_000_000), PRINTED);
  equal(await lab.user.sh("ls /run/lab/hook 2>/dev/null || echo none"), "none\n", "no hook was run");
});

await rootTest("the same program against the kernel's WireGuard", { peers: ["kernel"] }, async () => {
  await using user = await Host.create("user");
  const [keys, theirs] = [generateKeys(), generateKeys()];
  let deno = "";
  await using image = await imageWith(await peer("kernel"), async (root) => {
    deno = await putWgd(root);
    await bundle(new URL("lab/web_server.ts", import.meta.url), `${root}/web_server.js`);
  });
  await using guest = await Guest.boot("server", image, user, "tap0", { megabytes: 512 });
  await user.ok("ip", "address", "add", "192.0.2.2/24", "dev", "tap0");
  await guest.sh(
    `ip address add 192.0.2.1/24 dev ${Guest.INTERFACE}; ip link set ${Guest.INTERFACE} up; ip link set lo up
     ip link add wg0 type wireguard; cat > /run/wg0.conf; wg setconf wg0 /run/wg0.conf
     ip address add 10.8.0.1/24 dev wg0; ip link set wg0 up
     ${deno} run --allow-net --no-config /web_server.js > /run/web_server 2>&1 &`,
    {
      stdin: formatConfig({
        privateKey: theirs.privateKey,
        listenPort: 51820,
        peers: [{ publicKey: keys.publicKey, allowedIps: ["10.8.0.2/32"] }],
      }),
    },
  );
  await eventually("the web server", async () => {
    return (await guest.sh("cat /run/web_server")).includes("ready");
  }, { within: 120_000, every: 500 });
  await user.sh(`umask 077; cat > ${CONFIG}; chown ${NOBODY} ${CONFIG}; chmod 755 /run /run/lab`, {
    stdin: formatConfig({
      privateKey: keys.privateKey,
      quick: ["Address = 10.8.0.2/24"],
      peers: [{ publicKey: theirs.publicKey, endpoint: "192.0.2.1:51820", allowedIps: ["10.8.0.0/24"] }],
    }),
  });
  equal(await runProgram(user, 1_000_000), PRINTED);
  match(await guest.ok("ip", "-details", "link", "show", "wg0"), /^ +wireguard/m);
});

await rootTest(
  "wgd proxy as nobody: curl over SOCKS5 and HTTP, forwards in both directions, standard input and output",
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
