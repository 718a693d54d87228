import { deepEqual, equal, throws } from "node:assert/strict";
import { ConfigError } from "../../../core/config/config_error.ts";
import { formatPrefix } from "../../../core/config/prefix.ts";
import { parseConfig } from "../../../core/config/format.ts";
import { isWireproxyFile, parseWireproxy, routeEverything } from "../../../core/proxy/wireproxy.ts";

const KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
/** The shape of wireproxy's own example. */
const EXAMPLE = `[Interface]
Address = 10.200.200.2/32
PrivateKey = $WG_KEY
DNS = 10.200.200.1
CheckAlive = 1.1.1.1, 3.3.3.3
CheckAliveInterval = 3

[Peer] ; the server
PublicKey = ${KEY}
Endpoint = my.ddns.example.com:51820
# PersistentKeepalive = 25

[TCPClientTunnel]
BindAddress = 127.0.0.1:25565
Target = play.cubecraft.net:25565

[TCPServerTunnel]
ListenPort = 3422
Target = localhost:25545

[Socks5]
BindAddress = 127.0.0.1:25344
Username = anna
Password = $$ecret

[http]
BindAddress = :25345

[http]
BindAddress = 127.0.0.1:25346
Username = "peter"
Password = "hunt#er;1" # in quotes
CertFile = cert.pem
KeyFile = key.pem

[UDPProxyTunnel]
BindAddress = 127.0.0.1:53
Target = 10.0.0.1:53
InactivityTimeout = 30

[UDPProxyTunnel]
BindAddress = 127.0.0.1:54
Target = 10.0.0.1:53
InactivityTimeout = 0

[Resolve]
ResolveStrategy = auto

[SNI]
BindAddress = 0.0.0.0:443
`;
const variable = (name: string) => name === "WG_KEY" ? KEY : undefined;

Deno.test("parseWireproxy() reads wireproxy's own example, and lines keep their numbers", () => {
  equal(isWireproxyFile(EXAMPLE), true);
  const file = parseWireproxy(EXAMPLE, "w.conf", variable);
  const { rules } = file;
  deepEqual(rules.socks5, [{
    at: { hostname: "127.0.0.1", port: 25_344 },
    credentials: { user: "anna", password: "$ecret" },
  }]);
  deepEqual(rules.http, [{ at: { hostname: "0.0.0.0", port: 25_345 } }, {
    at: { hostname: "127.0.0.1", port: 25_346 },
    credentials: { user: "peter", password: "hunt#er;1" },
    tls: { certFile: "cert.pem", keyFile: "key.pem" },
  }]);
  deepEqual(rules.forwards, [{
    from: { hostname: "127.0.0.1", port: 25_565 },
    to: { host: "play.cubecraft.net", port: 25_565 },
  }]);
  deepEqual(rules.reverses, [{ port: 3_422, to: { host: "localhost", port: 25_545 } }]);
  deepEqual(rules.udpForwards.map(({ from, idle }) => [from.port, idle]), [[53, 30], [54, Infinity]]);
  deepEqual(file.alive, { addresses: ["1.1.1.1", "3.3.3.3"], interval: 3 });
  deepEqual(rules.sni, [{ at: { hostname: "0.0.0.0", port: 443 } }]);
  deepEqual(file.passedOver, []);
  const config = parseConfig(file.wireguard);
  deepEqual([config.address, config.peers.length], [["10.200.200.2/32"], 1]);
  // As wireproxy has it, a peer without allowed IPs gets everything.
  deepEqual(config.peers[0]!.allowedIps, []);
  deepEqual(
    routeEverything(config).peers[0]!.allowedIps.map(({ prefix }) => formatPrefix(prefix)),
    ["0.0.0.0/0", "::/0"],
  );
  equal(file.wireguard.split("\n").length, EXAMPLE.split("\n").length);
});

Deno.test("parseWireproxy() reads the name of another file", () => {
  const text = "WGConfig = /etc/wireguard/wg0.conf\n[STDIOTunnel]\nTarget = ssh.myserver.net:22\n";
  equal(isWireproxyFile(text), true);
  const file = parseWireproxy(text, "w.conf", variable);
  deepEqual([file.wgConfig, file.stdio], ["/etc/wireguard/wg0.conf", { host: "ssh.myserver.net", port: 22 }]);
});

Deno.test("parseWireproxy() names file, line and key of an invalid value", () => {
  const cases: [string, number, string][] = [
    ["[Socks5]\nBindAddress = nowhere\n", 2, "BindAddress"],
    ["\n[Socks5]\nUsername = a\n", 2, "BindAddress"],
    ["[TCPClientTunnel]\nBindAddress = 127.0.0.1:1\nTarget = x\n", 3, "Target"],
    ["[Interface]\nPrivateKey = $MISSING\n[Socks5]\n", 2, "privatekey"],
    [
      "[UDPProxyTunnel]\nBindAddress=127.0.0.1:1\nTarget=a:1\nInactivityTimeout = 1m\n",
      4,
      "InactivityTimeout",
    ],
    ["[http]\nBindAddress = 127.0.0.1:1\nCertFile = a\n", 1, "KeyFile"],
    ["[Interface]\nCheckAlive = somewhere\n[Socks5]\nBindAddress = 127.0.0.1:1\n", 2, "CheckAlive"],
  ];
  for (const [text, line, key] of cases) {
    throws(
      () => parseWireproxy(text, "w.conf", variable),
      (error) =>
        error instanceof ConfigError && error.line === line && error.key === key && error.file === "w.conf",
      text,
    );
  }
});

Deno.test("parseWireproxy() accepts a host name as BindAddress", () => {
  const { rules } = parseWireproxy("[Socks5]\nBindAddress = proxy-host:1080\n", "a.conf", () => undefined);
  deepEqual(rules.socks5, [{ at: { hostname: "proxy-host", port: 1080 } }]);
});

Deno.test("parseWireproxy() names the lines that have no effect", () => {
  const text = `[Socks5]
BindAddress = 127.0.0.1:1080
Usernme = anna
Password = secret
`;
  const { passedOver } = parseWireproxy(text, "w.conf", variable);
  deepEqual(passedOver.map((line) => line.replace(/ has no effect.*/, "")), [
    'w.conf:3: "usernme" in [socks5]',
  ]);
});

Deno.test("parseWireproxy() reads the address family that is tried first", () => {
  for (const [value, prefer] of [["ipv4", "ipv4"], ["IPv6", "ipv6"], ["auto", undefined]]) {
    const found = parseWireproxy(`[Resolve]\nResolveStrategy = ${value}\n`, "w.conf", variable);
    equal(found.prefer, prefer);
    deepEqual(found.passedOver, []);
  }
  throws(
    () => parseWireproxy("[Resolve]\nResolveStrategy = ipv5\n", "w.conf", variable),
    { message: "Unable to parse address family: `ipv5'", line: 2, key: "ResolveStrategy" },
  );
});

Deno.test("isWireproxyFile() does not match a file of wg-quick", () => {
  equal(isWireproxyFile("[Interface]\nAddress = 10.0.0.1/24\n# [Socks5]\n[Peer]\n"), false);
});
