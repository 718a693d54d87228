/**
 * `wgd proxy` as users run it: configured only by its file, shown by `wgd show`, monitored, ended by a service manager,
 * and in place of wireproxy.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { eventually, type Finished } from "./lab/exec.ts";
import type { Host, Process } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { CONFIG, FOLDER, NAME, NamedServer, nameServer, NOBODY, script, serve } from "./lab/named_server.ts";
import { AUTHORITY, serveSecurely } from "./lab/private_authority.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand, wgdCommandAs } from "./lab/tunnel.ts";

const RUNTIME = `${FOLDER}/runtime`;
const env = { XDG_RUNTIME_DIR: RUNTIME };

/** A user without privileges who is logged in, with a file for a tunnel to a server that has a name and a page. */
class Scene implements AsyncDisposable {
  private constructor(readonly named: NamedServer, readonly wgd: readonly string[]) {}

  static async create(): Promise<Scene> {
    await using made = new AsyncDisposableStack();
    const named = made.use(await NamedServer.create());
    const { user, server } = named;
    await nameServer(server, "intranet", "db.internal", "host.internal");
    await serve(server, "web_server.ts");
    await named.giveToNobody();
    await user.sh(`mkdir -m 700 ${RUNTIME}; chown ${NOBODY} ${RUNTIME}`);
    const wgd = await wgdCommandAs(NOBODY, user);
    made.move();
    return new Scene(named, wgd);
  }

  get user(): Host {
    return this.named.user;
  }

  /** Adds lines to the file. */
  async configure(lines: string): Promise<void> {
    await this.user.sh(`cat >> ${CONFIG}`, { stdin: lines });
  }

  /** Starts a proxy. */
  proxy(...args: string[]): Promise<Process> {
    return this.user.start([...this.wgd, "proxy", ...args], { env });
  }

  /** Runs wgd as the user. */
  run(...args: string[]): Promise<Finished> {
    return this.user.run([...this.wgd, ...args], { env });
  }

  curl(...args: string[]): Promise<Finished> {
    return this.user.run(["curl", "--silent", "--show-error", "--max-time", "10", ...args]);
  }

  /** Waits until a URL is answered. */
  async answered(proxy: Process, ...args: string[]): Promise<string> {
    try {
      return await eventually(`an answer to curl ${args.join(" ")}`, async () => {
        const { code, stdout } = await this.curl(...args);
        return code === 0 ? stdout : undefined;
      });
    } catch (cause) {
      throw new Error(`the proxy printed: ${proxy.output()}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.named[Symbol.asyncDispose]();
  }
}

const LINES = `
# wgd: Socks5 = unix:${RUNTIME}/socks
# wgd: Socks5 = 1080
# wgd: Http = 1081
# wgd: Sni = 1443
# wgd: Forward = 1082=${NAME}:80
# wgd: ForwardUdp = 5353=10.8.0.1:53
# wgd: Reverse = 8080=unix:${RUNTIME}/web
# wgd: Health = 9080
`;

await rootTest(
  "wgd proxy is configured by its file alone, and wgd show, set and doctor work on it, as nobody",
  { programs: ["curl", "dnsmasq", "openssl"] },
  async () => {
    await using scene = await Scene.create();
    const { user } = scene;
    await serveSecurely(scene.named);
    await scene.configure(LINES);
    const proxy = await scene.proxy(CONFIG);
    equal(await scene.answered(proxy, "http://127.0.0.1:1082/"), "hello 10.8.0.2");
    for (
      const through of [
        "socks5h://127.0.0.1:1080",
        `socks5h://localhost${RUNTIME}/socks`,
        "http://127.0.0.1:1081",
      ]
    ) {
      const { stdout, stderr } = await scene.curl("--noproxy", "", "--proxy", through, `http://${NAME}/`);
      equal(stdout, "hello 10.8.0.2", `${through}: ${stderr}`);
    }

    // TLS without a proxy setting: the server's name leads to the proxy.
    const tls = ["--cacert", AUTHORITY, "--connect-to", "::127.0.0.1:1443"];
    for (const version of ["1.3", "1.2"]) {
      const { stdout, stderr } = await scene.curl(
        "--noproxy",
        "*",
        "--tls-max",
        version,
        ...tls,
        `https://${NAME}/`,
      );
      equal(stdout, "secure", stderr);
    }
    match((await scene.curl("--noproxy", "*", ...tls, "https://nowhere.test/")).stderr, /unrecognized name/);
    match((await scene.curl("--noproxy", "*", ...tls, "https://10.8.0.1/")).stderr, /missing extension/);

    // DNS over UDP, by a forward and by SOCKS5.
    const deno = Deno.execPath();
    const resolve =
      `console.log(await Deno.resolveDns("${NAME}.", "A", { nameServer: { ipAddr: "127.0.0.1", port: 5353 } }))`;
    equal(await user.ok("env", "NO_COLOR=1", deno, "eval", resolve), '[ "10.8.0.1" ]\n');
    const socks = [deno, "run", "--allow-net", "--no-check", script("socks_dns.ts"), "1080", NAME];
    equal(await user.ok(...socks), "10.8.0.1\n");

    // From the tunnel to a Unix socket of the user.
    const path = `${RUNTIME}/web`;
    const serve =
      `Deno.serve({ path: "${path}" }, () => new Response("mine")); Deno.chmodSync("${path}", 0o777)`;
    const own = await user.start([deno, "eval", serve]);
    await eventually(
      "the user's own server",
      async () => (await scene.curl("http://127.0.0.1:1082/ask?port=8080")).stdout === "mine",
    );

    equal(
      (await scene.curl(
        "--write-out",
        "%{http_code}",
        "--output",
        "/dev/null",
        "http://127.0.0.1:9080/readyz",
      )).stdout,
      "200",
    );
    const metrics = (await scene.curl("http://127.0.0.1:9080/metrics")).stdout;
    match(metrics, /^wireguard_received_bytes_total\{interface="client",.*\} [1-9]/m);
    match(metrics, /^wgd_proxy_connections_total\{kind="socks5"\} 3$/m);

    const key = scene.named.theirs.publicKey;
    equal((await scene.run("show", "interfaces")).stdout, "client\n");
    match((await scene.run("show", "client")).stdout, /^interface: client\n[^]*latest handshake: /);
    equal((await scene.run("set", "client", "peer", key, "persistent-keepalive", "25")).code, 0);
    equal((await scene.run("show", "client", "persistent-keepalive")).stdout, `${key}\t25\n`);
    const doctor = await scene.run("doctor", "client", "10.8.0.1");
    equal(doctor.code, 0, doctor.stdout);
    match(doctor.stdout, /^ok {4}client is a proxy and answers\n/);
    match(doctor.stdout, /^ok {4}10\.8\.0\.1 goes through client to peer /m);
    ok(!/^(warn|fail)/m.test(doctor.stdout), doctor.stdout);
    // Another user has no proxies, and root has no interface with this name.
    equal((await user.run([...wgdCommand(), "show", "client"])).code, 1);

    const second = await scene.run("proxy", CONFIG, "--socks5", "2080");
    deepEqual([second.code, second.stdout], [1, ""]);
    match(second.stderr, /another wgd proxy is already running this tunnel\nhint: "wgd show" shows it;/);
    const namesake = `${RUNTIME}/client.conf`;
    await user.sh(
      `umask 077; sed 's|^PrivateKey.*|PrivateKey = ${generateKeys().privateKey}|' ${CONFIG} > ${namesake}
      chown ${NOBODY} ${namesake}`,
    );
    const third = await scene.run("proxy", namesake, "--socks5", "2080");
    deepEqual([third.code, third.stdout], [1, ""]);
    match(third.stderr, /a proxy named "client" is already running\nhint: see it: wgd show client;/);

    // What a killed proxy leaves behind is replaced.
    await proxy.signal("KILL");
    await proxy.ended;
    equal((await scene.run("show", "interfaces")).stdout, "");
    const again = await scene.proxy(CONFIG);
    equal(await scene.answered(again, "http://127.0.0.1:1082/"), "hello 10.8.0.2");
    equal((await scene.run("show", "interfaces")).stdout, "client\n");
    await again.signal("INT");
    equal((await again.ended).code, 130);
    equal(await user.ok("ls", `${RUNTIME}/wgd`), "");
    await own.signal("TERM");
  },
);

await rootTest(
  "wgd proxy lets connections finish after SIGTERM, and ends at once after the second",
  { programs: ["curl", "dnsmasq"] },
  async () => {
    await using scene = await Scene.create();
    const url = "http://127.0.0.1:1082/";
    /** Signals a proxy while it carries a page that takes a tenth of a second for each number. */
    const begun = async (count: number): Promise<[Process, Process]> => {
      const proxy = await scene.proxy(CONFIG, "--forward", `1082=${NAME}:80`, "--grace", "60");
      await scene.answered(proxy, url);
      const slow = await scene.user.start(["curl", "--silent", "--no-buffer", `${url}slow?count=${count}`]);
      await eventually("the page to begin", () => slow.output() !== "");
      await proxy.signal("TERM");
      await eventually("the message", () => /one connection has ended/.test(proxy.output()));
      return [proxy, slow];
    };
    {
      const [proxy, slow] = await begun(40);
      equal((await scene.curl(url)).code, 7, "no new connection is accepted");
      await slow.ended;
      equal(slow.output(), Array.from({ length: 40 }, (_, i) => `${i} `).join(""));
      const finished = performance.now();
      equal((await proxy.ended).code, 143);
      ok(performance.now() - finished < 30_000, "it ends soon after the last connection");
    }
    const [proxy, slow] = await begun(1_000);
    await proxy.signal("TERM");
    const told = performance.now();
    equal((await proxy.ended).code, 143);
    ok(performance.now() - told < 30_000, "it ends before the grace period does");
    await slow.ended;
    equal(/ 999 /.test(slow.output()), false);
  },
);

/** What wireproxy's manual has in its examples: several listeners of a kind, one of them with a password. */
const WIREPROXY = `
[TCPClientTunnel]
BindAddress = 127.0.0.1:25565
Target = ${NAME}:80

[TCPServerTunnel]
ListenPort = 3422
Target = localhost:25545

[Socks5]
BindAddress = 127.0.0.1:25344

[http]
BindAddress = 127.0.0.1:25345

[http]
BindAddress = 127.0.0.1:25346
Username = peter
Password = hunter123

[UDPProxyTunnel]
BindAddress = 127.0.0.1:5353
Target = 10.8.0.1:53
InactivityTimeout = 30

[SNI]
BindAddress = 127.0.0.1:25443
`;

await rootTest(
  "wgd proxy works with wireproxy's file and options",
  { programs: ["curl", "dnsmasq", "openssl"] },
  async () => {
    await using scene = await Scene.create();
    await serveSecurely(scene.named);
    const { user, named: { keys, theirs } } = scene;
    await user.sh(`cat > ${FOLDER}/wireproxy.conf`, {
      stdin: `[Interface]
Address = 10.8.0.2/32 # The subnet should be /32
PrivateKey = $MY_PRIVATE_KEY
DNS = 10.8.0.1
CheckAlive = 10.8.0.1
CheckAliveInterval = 1

[Peer]
PublicKey = ${theirs.publicKey}
Endpoint = 192.0.2.1:51820
# PersistentKeepalive = 25 (optional)
${WIREPROXY}`,
    });
    const config = `${FOLDER}/wireproxy.conf`;
    const withKey = { env: { ...env, MY_PRIVATE_KEY: keys.privateKey } };
    const check = await user.run([...scene.wgd, "proxy", "-n", "-c", config], withKey);
    deepEqual([check.code, check.stdout, check.stderr], [0, "", ""]);
    const missing = await scene.run("proxy", "-n", "-c", config);
    equal(missing.code, 1);
    match(missing.stderr, /wireproxy\.conf:3: privatekey: set MY_PRIVATE_KEY/);
    const proxy = await user.start([...scene.wgd, "proxy", "-c", config, "-i", "127.0.0.1:9080"], withKey);
    equal(await scene.answered(proxy, "http://127.0.0.1:25565/"), "hello 10.8.0.2");
    const hello = async (...through: string[]) => {
      const { code, stdout } = await scene.curl("--noproxy", "", ...through, `http://${NAME}/`);
      return code === 0 && stdout === "hello 10.8.0.2";
    };
    deepEqual(
      [
        await hello("--proxy", "socks5h://127.0.0.1:25344"),
        await hello("--proxy", "http://127.0.0.1:25345", "--proxytunnel"),
        await hello("--proxy", "http://127.0.0.1:25346", "--proxytunnel"),
        await hello("--proxy", "http://peter:hunter123@127.0.0.1:25346", "--proxytunnel"),
      ],
      [true, true, false, true],
    );
    const secure = ["--cacert", AUTHORITY, "--connect-to", "::127.0.0.1:25443", `https://${NAME}/`];
    equal((await scene.curl("--noproxy", "*", ...secure)).stdout, "secure");
    const own = await user.start([
      Deno.execPath(),
      ...["eval", "Deno.serve({ hostname: '127.0.0.1', port: 25545 }, () => new Response('mine'))"],
    ]);
    await eventually(
      "the user's own server",
      async () => (await scene.curl("http://127.0.0.1:25565/ask?port=3422")).stdout === "mine",
    );
    await eventually("the answer to a ping", async () =>
      /^\{"10\.8\.0\.1":1\d{9}\}\n200$/.test(
        (await scene.curl("--write-out", "%{http_code}", "http://127.0.0.1:9080/readyz")).stdout,
      ));
    await own.signal("TERM");
    await proxy.signal("TERM");
    equal((await proxy.ended).code, 143);
    // The server may have kept the connection of its request.
    match(proxy.output(), /^(wgd: will end when one connection has ended, after 5 s at the latest\n)?$/);
  },
);
