import { deepEqual, equal, match, throws } from "node:assert/strict";
import type { ConfigError } from "../../../core/config/config_error.ts";
import { parseConfig } from "../../../core/config/format.ts";
import { parseQuickConfig } from "../../../core/config/quick_config.ts";

Deno.test("parseQuickConfig() reads its keys from [Interface] and passes the rest on unchanged", () => {
  const { quick, wg, wgLines } = parseQuickConfig([
    "# head",
    "[interface] # of mine",
    "  address = 10.0.0.1/24, fd00::1/64\t10.0.1.1 # three",
    "Address=10.9.9.9",
    "DNS = 1.1.1.1,fd00::53, corp.example",
    "MTU = 1280",
    "MTU = 1300",
    "Table = 1234",
    "PostUp = iptables -A x; echo '#' # kept",
    "PostUp = second=2",
    "SaveConfig = TRUE",
    "\tPrivateKey = x  ",
    "[Peer]",
    "MTU = 9",
    "PublicKey = y",
  ].join("\n"));
  deepEqual(quick, {
    address: ["10.0.0.1/24", "fd00::1/64", "10.0.1.1", "10.9.9.9"],
    dns: ["1.1.1.1", "fd00::53"],
    dnsSearch: ["corp.example"],
    mtu: 1300,
    mtuLine: 7,
    table: "1234",
    preUp: [],
    postUp: ["iptables -A x; echo '#' # kept", "second=2"],
    preDown: [],
    postDown: [],
    saveConfig: true,
  });
  equal(wg, "# head\n[interface] # of mine\nPrivateKey = x\n[Peer]\nMTU = 9\nPublicKey = y\n");
  deepEqual(wgLines, [1, 2, 12, 13, 14, 15]);
});

Deno.test("parseQuickConfig() does not recognize [ Interface ] with spaces, or keys before a section", () => {
  const { quick, wg } = parseQuickConfig("MTU = 1280\n[ Interface ]\nMTU = 1300\n");
  equal(quick.mtu, undefined);
  equal(wg, "MTU = 1280\n[ Interface ]\nMTU = 1300\n");
});

Deno.test("parseQuickConfig() reports the place of an invalid value", () => {
  const cases: [string, string][] = [
    ["Address = 10.0.0.300/24", "Unable to parse IP address: `10.0.0.300/24'"],
    ["MTU = big", "Unable to parse MTU: `big'"],
    ["MTU = 67", "Unable to parse MTU: `67'"],
    ["MTU = 65536", "Unable to parse MTU: `65536'"],
    ["SaveConfig = yes", "`yes' is neither true nor false"],
  ];
  for (const [line, message] of cases) {
    throws(() => parseQuickConfig(`[Interface]\n${line}`, { file: "a.conf" }), (error: ConfigError) => {
      equal(error.message, message);
      match(error.hint, /^a\.conf:2: \w+: found "/);
      return true;
    });
  }
});

Deno.test("errors in lines for wg give their line number in the whole file", () => {
  throws(
    () => parseConfig("[Interface]\nAddress = 10.0.0.1\nMTU = 1280\nBogus = 1\n"),
    (error: ConfigError) => {
      equal(error.line, 4);
      return true;
    },
  );
});
