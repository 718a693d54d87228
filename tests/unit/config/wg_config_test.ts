import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../../core/config/config_error.ts";
import { parseConfig } from "../../../core/config/format.ts";
import { formatKey } from "../../../core/config/key.ts";
import { formatPrefix } from "../../../core/config/prefix.ts";
import { parseWgConfig } from "../../../core/config/wg_config.ts";
import { configText } from "../../cli/arbitraries.ts";

const KEY = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";
const OTHER = "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=";

function errorOf(text: string): ConfigError {
  try {
    parseWgConfig(text, { file: "wg0.conf" });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}

Deno.test("parseWgConfig() reads every key", () => {
  const config = parseWgConfig(`
    # a comment
    [Interface]
    PrivateKey = ${KEY}
    ListenPort = 51820 # of the server
    FwMark = 0xca6c
    [Peer]
    PublicKey = ${OTHER}
    PresharedKey = ${KEY}
    AllowedIPs = 10.0.0.0/8, fd00::/64
    AllowedIPs = 192.168.1.1
    Endpoint = example.com:51820
    PersistentKeepalive = 25
  `);
  equal(formatKey(config.privateKey!), KEY);
  equal(config.listenPort, 51820);
  equal(config.fwmark, 51820);
  const peer = config.peers[0]!;
  equal(formatKey(peer.publicKey), OTHER);
  equal(formatKey(peer.presharedKey!), KEY);
  deepEqual(peer.allowedIps.map(({ prefix }) => formatPrefix(prefix)), [
    "10.0.0.0/8",
    "fd00::/64",
    "192.168.1.1/32",
  ]);
  deepEqual(peer.endpoint, { text: "example.com:51820", host: "example.com", port: "51820" });
  equal(peer.publicKeyLine, 8);
  equal(peer.endpointLine, 12);
  equal(peer.persistentKeepalive, 25);
});

Deno.test("parseWgConfig() ignores white space and case", () => {
  const config = parseWgConfig(
    `\ufeff[ interface ]\r\nlisten port=1 2\r\nFWMARK\t=\v oFf\r\n[PEER]\r\npublickey=${KEY}`,
  );
  equal(config.listenPort, 12);
  equal(config.fwmark, 0);
  equal(config.peers.length, 1);
});

Deno.test("parseWgConfig() combines sections with the same name", () => {
  const config = parseWgConfig("[Interface]\nListenPort=1\n[Interface]\nListenPort=2\nFwMark=3");
  deepEqual(config, { listenPort: 2, fwmark: 3, peers: [] });
});

Deno.test("a sign in the last line of AllowedIPs changes the peer's list instead of replacing it", () => {
  const peer = (lines: string) => parseWgConfig(`[Peer]\nPublicKey=${KEY}\n${lines}`).peers[0]!;
  equal(peer("").replaceAllowedIps, true);
  equal(peer("AllowedIPs=1.0.0.0/8").replaceAllowedIps, true);
  equal(peer("AllowedIPs=1.0.0.0/8,+2.0.0.0/8").replaceAllowedIps, false);
  equal(peer("AllowedIPs=-1.0.0.0/8\nAllowedIPs=2.0.0.0/8").replaceAllowedIps, true);
  const { allowedIps } = peer("AllowedIPs=1.0.0.0/8,+2.0.0.0/8,-3.0.0.0/8");
  deepEqual(allowedIps.map(({ remove }) => remove), [false, false, true]);
});

Deno.test("parseWgConfig() warns of host bits and clears them", () => {
  const warnings: string[] = [];
  const { peers } = parseWgConfig(`[Peer]\nPublicKey=${KEY}\nAllowedIPs=10.0.0.1/24`, {
    warn: (w) => warnings.push(w),
  });
  deepEqual(warnings, ["Warning: AllowedIP has nonzero host part: 10.0.0.1/24"]);
  equal(formatPrefix(peers[0]!.allowedIps[0]!.prefix), "10.0.0.0/24");
});

Deno.test("every refused line has wg's message and a hint with file, line and key", () => {
  const I = "[Interface]\n";
  const P = `[Peer]\nPublicKey=${KEY}\n`;
  const cases: [string, string, RegExp][] = [
    [
      `${I}PrivateKey = ${KEY.slice(1)}`,
      `Key is not the correct length or format: \`${KEY.slice(1)}'`,
      /^wg0\.conf:2: PrivateKey: found 43 characters/,
    ],
    [
      `${I}PrivateKey = ${KEY.slice(0, -1)}`,
      `Key is not the correct length or format: \`${KEY.slice(0, -1)}'`,
      /the "=" at the end is missing$/,
    ],
    [
      `${I}privatekey = ${"ab".repeat(32)}`,
      `Key is not the correct length or format: \`${"ab".repeat(32)}'`,
      /2: PrivateKey: found 64 hexadecimal digits/,
    ],
    [
      `${I}PrivateKey = ${KEY.replace("O", "-")}`,
      `Key is not the correct length or format: \`${KEY.replace("O", "-")}'`,
      /found "-" as character 2/,
    ],
    [`${I}PrivateKey =`, "Line unrecognized: `PrivateKey='", /2: PrivateKey: found no value/],
    [`${I}ListenPort`, "Line unrecognized: `ListenPort'", /found no "="/],
    [
      `${I}ListenPort = 70000`,
      "Servname not supported for ai_socktype: `70000'",
      /ListenPort: found "70000", expected 0 to 65535/,
    ],
    [`${I}FwMark = -1`, "Fwmark is neither 0/off nor 0-0xffffffff: `-1'", /FwMark: found "-1"/],
    [
      `${I}Address = 10.0.0.1/24`,
      "Line unrecognized: `Address=10.0.0.1/24'",
      /Address: found a key of wg-quick.*wgd quick up/,
    ],
    [
      `${I}jc = 4`,
      "Line unrecognized: `jc=4'",
      /2: jc: found a key of AmneziaWG, which is not compatible with WireGuard/,
    ],
    [`${P}S1 = 4`, "Line unrecognized: `S1=4'", /3: S1: found the key "S1", expected one of PublicKey/],
    [`${I}Adress = 10.0.0.1/24`, "Line unrecognized: `Adress=10.0.0.1/24'", /did you mean Address\?$/],
    [
      `${I}Endpoint = 1.2.3.4:5`,
      "Line unrecognized: `Endpoint=1.2.3.4:5'",
      /Endpoint: found it in \[Interface\], expected it in \[Peer\]/,
    ],
    [
      "ListenPort = 1",
      "Line unrecognized: `ListenPort=1'",
      /1: ListenPort: found "ListenPort" before any section/,
    ],
    ["[Peers]", "Line unrecognized: `[Peers]'", /found the section/],
    [
      `${P}Nonsense = 1`,
      "Line unrecognized: `Nonsense=1'",
      /Nonsense: found the key "Nonsense", expected one of PublicKey/,
    ],
    [
      `${P}DNS = 1.1.1.1`,
      "Line unrecognized: `DNS=1.1.1.1'",
      /found it in \[Peer\], expected it in \[Interface\]/,
    ],
    [
      `${P}AllowedIPs = 10.0.0.0/33`,
      "AllowedIP is not in the correct format: `10.0.0.0/33'",
      /3: AllowedIPs: found "\/33", expected \/0 to \/32/,
    ],
    [`${P}AllowedIPs = 10.0.0.0/8,`, "Unable to parse IP address: `'", /remove a comma$/],
    [`${P}AllowedIPs = example.com`, "Unable to parse IP address: `example.com'", /names are not looked up/],
    [`${P}Endpoint = 1.2.3.4`, "Unable to find port of endpoint: `1.2.3.4'", /such as 1\.2\.3\.4:51820/],
    [`${P}Endpoint = [::1`, "Unable to find matching brace of endpoint: `[::1'", /the "\]" is missing/],
    [
      `${P}PersistentKeepalive = 65536`,
      "Persistent keepalive interval is neither 0/off nor 1-65535: `65536'",
      /25 suits/,
    ],
    [
      "[Interface]\n\n[Peer]\nPersistentKeepalive = 1",
      "A peer is missing a public key",
      /^wg0\.conf:3: \[Peer\]: found a section without PublicKey/,
    ],
  ];
  for (const [text, message, hint] of cases) {
    const error = errorOf(text);
    equal(error.message, message);
    match(error.hint, hint);
    match(error.hint, /^wg0\.conf:\d+: \S+: \S/);
    ok(!error.hint.includes("\n"));
  }
});

Deno.test("parseWgConfig() throws only ConfigError for any input", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), configText(fc.string())), (text) => {
      try {
        parseWgConfig(text);
      } catch (error) {
        ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: Deno.env.get("WGD_TEST_FULL") === "1" ? 100_000 : 3000 },
  );
});

Deno.test("a megabyte of spaces in one line is read in linear time", () => {
  const blanks = " \t".repeat(500_000);
  parseConfig(`[Interface]\n${blanks}x = 1${blanks}#${blanks}y\n`.replace("x = 1", "FwMark = 1"));
  throws(() => parseConfig(`[Interface]\n${blanks}x${blanks}y${blanks}\n`), ConfigError);
});

Deno.test("parseWgConfig() reports once that a file is AmneziaWG's, and then its other mistakes", () => {
  const errors: ConfigError[] = [];
  const text = "[Interface]\nJc = 4\nJmin = 40\nS1 = 1\nH1 = 5\nI1 = <b 0x0>\nBogus = 1\n[Peer]\n";
  parseWgConfig(text, { onError: (error) => errors.push(error) });
  deepEqual(errors.map(({ line, key }) => [line, key]), [[2, "Jc"], [7, "Bogus"], [8, "[Peer]"]]);
});
