/**
 * Uses a program's own tunnel: TLS, HTTP/2, WebSocket and ssh, with servers on the kernel's TCP.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { CONFIG, FOLDER, NAME, NamedServer, nameServer, script } from "./lab/named_server.ts";
import { startPostgres } from "./lab/postgres.ts";
import { AUTHORITY, serveSecurely } from "./lab/private_authority.ts";
import { rootTest } from "./lab/rooted.ts";
import { makeSshKey, SSH_OPTIONS, SSH_PROGRAMS, startSshServer } from "./lab/ssh_server.ts";
import { Capture, dissect } from "./lab/traffic.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();

await rootTest(
  "HTTPS with a private authority, HTTP/2 and WebSocket through a program's own tunnel",
  { programs: ["dnsmasq", "openssl"] },
  async () => {
    await using scene = await NamedServer.create();
    const { user, server } = scene;
    await nameServer(server);
    await serveSecurely(scene);
    const { code, stdout, stderr } = await user.run([
      Deno.execPath(),
      ...["run", "--no-prompt", "--allow-net", "--allow-read", "--no-check", script("net_programs.ts")],
      ...[CONFIG, AUTHORITY, NAME],
    ]);
    equal(code, 0, stderr);
    equal(
      stdout,
      [
        "unknown authority TypeError",
        "fetch secure",
        "upload true",
        "no authority UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        "wrong name ERR_TLS_CERT_ALTNAME_INVALID",
        "tls http/1.1 HTTP/1.1 200 OK",
        "http2 h2 true",
        "websocket hello true",
        "",
      ].join("\n"),
    );
  },
);

await rootTest(
  "a driver of PostgreSQL works over a duplex stream",
  { programs: ["dnsmasq"], peers: ["postgresql"] },
  async () => {
    await using scene = await NamedServer.create();
    const { user, server } = scene;
    await nameServer(server);
    await startPostgres(server, "10.8.0.1", "10.8.0.0/24");
    const { code, stdout, stderr } = await user.run([
      Deno.execPath(),
      ...["run", "--no-prompt", "--allow-net", "--allow-read", "--allow-env", "--no-check"],
      ...[script("database_program.ts"), CONFIG, NAME],
    ]);
    equal(code, 0, stderr);
    equal(stdout, "rows 20 device 7\nsame true\nrefused 42P01\n");
  },
);

await rootTest(
  "ssh reaches a server by name through wgd proxy --stdio",
  { programs: ["dnsmasq", ...SSH_PROGRAMS] },
  async () => {
    await using scene = await NamedServer.create();
    const { user, server } = scene;
    await nameServer(server);
    await startSshServer(server, await makeSshKey(user));
    const ssh = (command: string) =>
      user.run([
        "ssh",
        ...SSH_OPTIONS,
        "-o",
        `ProxyCommand=${wgd.join(" ")} proxy ${CONFIG} --stdio %h:%p`,
        `root@${NAME}`,
        command,
      ]);
    const { code, stdout, stderr } = await ssh("head -c 3000000 /dev/zero | tr '\\0' x; exit 7");
    equal(code, 7, stderr);
    equal(stdout, "x".repeat(3_000_000));
  },
);

await rootTest(
  "wgd proxy sends only the tunnel's own datagrams, whatever programs request",
  { programs: ["curl", "dnsmasq", "tcpdump", "tshark"] },
  async () => {
    await using scene = await NamedServer.create();
    const { user, server } = scene;
    await nameServer(server);
    // Any packet to the machine's own network would be sent here.
    await user.ownEtc("nameserver 192.0.2.1\n");
    await user.ok("ip", "route", "add", "default", "via", "192.0.2.1");
    const own = await user.start([
      Deno.execPath(),
      ...["eval", "Deno.serve({ port: 8000 }, () => { console.log('asked'); return new Response() })"],
    ]);
    await eventually("the machine's own server", () => Promise.resolve(own.output().includes("Listening")));
    const file = user.path(`${FOLDER}/leaks.pcap`);
    {
      const expected = "(udp and port 51820 and host 192.0.2.1) or arp or icmp6 or dst net ff02::/16";
      await using _capture = await Capture.start(user, "eth0", `${FOLDER}/leaks.pcap`, `not (${expected})`);
      const proxy = await user.start([
        ...wgd,
        ...["proxy", CONFIG, "--socks5", "1080", "--http", "1081"],
      ]);
      const ask = (through: string, url: string) =>
        user.run(["curl", "--silent", "--max-time", "2", "--noproxy", "", "--proxy", through, url]);
      const socks = "socks5h://127.0.0.1:1080";
      // The name server's own port refuses HTTP, which is an answer through the tunnel.
      await eventually("the proxy", async () => (await ask(socks, `http://${NAME}:53/`)).code !== 7);
      const targets = [
        ...["nowhere.test", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "192.0.2.1", "192.0.2.2:8000"],
        ...["10.8.0.77", "203.0.113.9", "[2001:db8::9]", `${NAME}:81`],
      ];
      await Promise.all(
        targets.flatMap((target) =>
          [socks, "socks5://127.0.0.1:1080", "http://127.0.0.1:1081"].map(async (through) => {
            // curl itself looks names up for socks5://.
            if (through.startsWith("socks5:") && /test|localhost/.test(target)) return;
            const { stdout } = await ask(through, `http://${target}/`);
            ok(!stdout.includes("asked"));
          })
        ),
      );
      equal(proxy.output(), "");
    }
    equal(own.output().match(/asked/g), null, "the machine's own server was not asked");
    deepEqual(await dissect(file, ["ip.dst", "ipv6.dst", "_ws.col.info"]), []);
  },
);
