/**
 * Files for `wg-quick` as people write them: keys of all kinds in any mixture.
 *
 * @module
 */

import fc from "fast-check";

/** Keys of the two ends, in base64. */
export interface EndKeys {
  readonly privateKey: string;
  readonly peers: readonly string[];
}

/** Inside networks that overlap in all ways: equal, one in another, apart. */
const NETWORKS = [
  [
    "10.0.0.0/24",
    "10.0.0.0/8",
    "10.0.0.9/32",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.200.0.0/13",
    "198.51.100.0/24",
  ],
  ["fd00::/64", "fd00::/16", "fd00:1::/32", "fd00:1:2::/48", "fd00::9/128", "2001:db8:7::/48"],
].flat();
const DEFAULTS = ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "::/1"];
const ADDRESSES = [
  "10.0.0.2/24",
  "10.0.0.2",
  "10.7.0.1/32",
  "fd00::2/64",
  "fd00::2",
  "fd00:7::2/128",
  "10.1.2.3/16",
];
const HOOKS = [
  "PreUp = ip route add 203.0.113.0/24 dev eth0",
  "PostUp = ip link set %i txqueuelen 77 # not for the shell",
  "PostUp = echo up %i >> /run/lab/trace; true",
  'PreUp = echo $((1 + 1)) "a  b" >> /run/lab/trace',
  "PreDown = echo down %i >> /run/lab/trace",
  "PostDown = ip route del 203.0.113.0/24 dev eth0 2>/dev/null || true",
  "PostUp = ip address add 10.99.0.1/32 dev %i",
];

const some = <T>(list: readonly T[], maxLength: number) =>
  fc.subarray([...list], { minLength: 0, maxLength });

const key = (name: string, values: fc.Arbitrary<readonly string[]>) =>
  fc.tuple(values, fc.constantFrom(", ", ",", "\n")).map(([list, between]) =>
    list.length === 0
      ? ""
      : between === "\n"
      ? list.map((value) => `${name} = ${value}\n`).join("")
      : `${name} = ${list.join(between)}\n`
  );
const maybe = (...lines: string[]) => fc.constantFrom("", "", ...lines.map((line) => `${line}\n`));

/** Whole files for an interface whose way out is eth0. */
export function quickFile({ privateKey, peers: [first, second] }: EndKeys): fc.Arbitrary<string> {
  const networks = fc.oneof(
    { weight: 3, arbitrary: some(NETWORKS, 4) },
    { weight: 2, arbitrary: fc.tuple(some(DEFAULTS, 2), some(NETWORKS, 2)).map((lists) => lists.flat()) },
  );
  const peer = (publicKey: string, endpoint: string) =>
    fc.tuple(key("AllowedIPs", networks), maybe("PersistentKeepalive = 25")).map(([ips, keepalive]) =>
      `\n[Peer]\nPublicKey = ${publicKey}\n${endpoint}${ips}${keepalive}`
    );
  return fc.tuple(
    key("Address", some(ADDRESSES, 3)),
    maybe("MTU = 1300", "mtu=1280"),
    maybe("Table = off", "Table = auto", "Table = 1234", "Table = main"),
    maybe("FwMark = 0x4d2", "FwMark = off", "FwMark = 51820"),
    maybe("ListenPort = 51999"),
    maybe(
      "DNS = 10.0.0.1",
      "DNS = 10.0.0.1, fd00::1, corp.example",
      "DNS = 10.0.0.1\nDNS = example.org",
      "DNS = example.org",
    ),
    maybe("SaveConfig = false", "SaveConfig = true"),
    some(HOOKS, 3).map((lines) => lines.map((line) => `${line}\n`).join("")),
    peer(first!, "Endpoint = 192.0.2.1:51820\n"),
    fc.option(peer(second!, ""), { nil: "" }),
  ).map(([address, mtu, table, mark, port, dns, save, hooks, one, two]) =>
    `[Interface]\nPrivateKey = ${privateKey}\n${address}${mtu}${table}${mark}${port}${dns}${save}${hooks}${one}${two}`
  );
}
