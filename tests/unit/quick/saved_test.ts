import { deepEqual, equal, ok } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { parseConfig } from "../../../core/config/format.ts";
import { formatKey } from "../../../core/config/key.ts";
import type { WgConfig } from "../../../core/config/wg_config.ts";
import { formatPrefix, parsePrefix } from "../../../core/config/prefix.ts";
import { savedConfig } from "../../../core/quick/saved.ts";

const KEYS = Array.from({ length: 5 }, () => new Uint8Array(randomBytes(32)));
const TEXTS = KEYS.map(formatKey);

const FILE = `# The office
[Interface]
Address = 10.0.0.1/24, fd00::1/64 # inside
PrivateKey = ${TEXTS[0]}
FwMark = 0x10
PostUp = true # nothing

# Name = Anna
[Peer]
PublicKey = ${TEXTS[1]}
AllowedIPs = 10.0.0.2, 10.0.0.3/32 # hers
Endpoint = vpn.example:51820
`;

function live(text: string): WgConfig {
  const { privateKey, listenPort, fwmark, peers } = parseConfig(text);
  return {
    ...(privateKey && { privateKey }),
    ...(listenPort && { listenPort }),
    ...(fwmark && { fwmark }),
    peers,
  };
}

Deno.test("a file that matches the interface does not change", () => {
  const addresses = ["10.0.0.1/24", "fd00::1/64", "fe80::1/64"];
  equal(savedConfig(FILE, { addresses, mtu: 1420, wg: live(FILE) }), FILE);
});

Deno.test("only changed values are changed; comments, names and hosts stay", () => {
  const wg = live(FILE);
  const text = savedConfig(FILE, {
    addresses: ["10.0.0.1/24"],
    mtu: 1420,
    wg: {
      ...wg,
      listenPort: 4000,
      fwmark: 0x11,
      peers: [
        {
          ...wg.peers[0]!,
          endpoint: { host: "192.0.2.7", port: "9", text: "192.0.2.7:9" },
          allowedIps: [{ remove: false, prefix: parsePrefix("10.0.0.2/32")! }],
          persistentKeepalive: 25,
        },
        {
          publicKey: KEYS[2]!,
          presharedKey: KEYS[3]!,
          endpoint: { host: "fd00::7", port: "1", text: "[fd00::7]:1" },
          replaceAllowedIps: true,
          allowedIps: [],
        },
      ],
    },
  });
  equal(
    text,
    `# The office
[Interface]
Address = 10.0.0.1/24 # inside
PrivateKey = ${TEXTS[0]}
FwMark = 0x11
PostUp = true # nothing
ListenPort = 4000

# Name = Anna
[Peer]
PublicKey = ${TEXTS[1]}
AllowedIPs = 10.0.0.2/32 # hers
Endpoint = vpn.example:51820
PersistentKeepalive = 25

[Peer]
PublicKey = ${TEXTS[2]}
PresharedKey = ${TEXTS[3]}
Endpoint = [fd00::7]:1
`,
  );
  deepEqual(
    savedConfig(text, { addresses: [], mtu: 1, wg: { peers: [] } }),
    "# The office\n[Interface]\nPostUp = true # nothing\n\n",
  );
});

Deno.test("IPv6 addresses that are not used because of an MTU below 1280 stay in the file", () => {
  const small = FILE.replace("[Interface]\n", "[Interface]\nMTU = 1200\n");
  equal(savedConfig(small, { addresses: ["10.0.0.1/24"], mtu: 1200, wg: live(FILE) }), small);
  const saved = savedConfig(small, { addresses: ["10.0.0.9/24"], mtu: 1200, wg: live(FILE) });
  ok(saved.includes("Address = 10.0.0.9/24 # inside\nAddress = fd00::1/64\n"), saved);
});

/** Configurations of up to four peers, as an interface could have them. */
const configs: fc.Arbitrary<WgConfig> = fc.record({
  privateKey: fc.option(fc.constant(KEYS[4]!), { nil: undefined }),
  listenPort: fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined }),
  fwmark: fc.option(fc.integer({ min: 1, max: 0xffffffff }), { nil: undefined }),
  peers: fc.uniqueArray(
    fc.record({
      publicKey: fc.constantFrom(...KEYS.slice(0, 4)),
      presharedKey: fc.option(fc.constantFrom(...KEYS), { nil: undefined }),
      endpoint: fc.option(
        fc.constantFrom("192.0.2.1:1", "[fd00::1]:2").map((text) => ({
          text,
          host: text.replace(/\]?:\d+$/, "").replace("[", ""),
          port: text.at(-1)!,
        })),
        { nil: undefined },
      ),
      persistentKeepalive: fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined }),
      replaceAllowedIps: fc.constant(true),
      allowedIps: fc.uniqueArray(fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "fd00::/64", "0.0.0.0/0")).map((
        list,
      ) => list.map((text) => ({ remove: false, prefix: parsePrefix(text)! }))),
    }),
    { selector: ({ publicKey }) => formatKey(publicKey) },
  ),
}).map((config) => JSON.parse(JSON.stringify(config, bytesAsArrays), arraysAsBytes));

function bytesAsArrays(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { bytes: [...value] } : value;
}

function arraysAsBytes(_: string, value: unknown): unknown {
  const { bytes } = (value ?? {}) as { bytes?: number[] };
  return bytes ? new Uint8Array(bytes) : value;
}

/** Everything but the order of peers and of their networks, which has no meaning. */
function meaning({ peers, ...rest }: WgConfig): unknown {
  const known = peers.map(({ endpointLine: _, publicKeyLine: __, allowedIps, ...peer }) => ({
    ...peer,
    publicKey: formatKey(peer.publicKey),
    allowedIps: allowedIps.map(({ prefix }) => formatPrefix(prefix)).sort(),
  }));
  return { ...rest, peers: known.sort((a, b) => a.publicKey < b.publicKey ? -1 : 1) };
}

Deno.test("any saved file matches the interface, and saving it again changes nothing", () => {
  fc.assert(fc.property(configs, configs, fc.boolean(), (before, after, windows) => {
    const saved = (text: string, wg: WgConfig) =>
      savedConfig(text, { addresses: ["10.0.0.1/24"], mtu: 1420, wg });
    let text = saved("# a comment\n[Interface]\nMTU = 1280\n", before);
    if (windows) text = text.replaceAll("\n", "\r\n");
    const result = saved(text, after);
    deepEqual(meaning(live(result)), meaning(after));
    equal(saved(result, after), result);
    ok(result.startsWith("# a comment"));
    equal(windows && /[^\r]\n/.test(result), false);
  }));
});
