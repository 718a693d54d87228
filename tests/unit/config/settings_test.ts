import { deepEqual, equal, match, throws } from "node:assert/strict";
import { ConfigError } from "../../../core/config/config_error.ts";
import { parseQuickConfig } from "../../../core/config/quick_config.ts";
import { SETTING_KEYS } from "../../../core/config/settings.ts";
import manual from "../../../cli/manual/config.md" with { type: "text" };

/** The settings of a text, what it warns of, and the lines it refuses. */
function read(text: string) {
  const warnings: string[] = [];
  const errors: ConfigError[] = [];
  const { settings } = parseQuickConfig(text, {
    file: "a.conf",
    warn: (warning) => warnings.push(warning),
    onError: (error) => errors.push(error),
  });
  return { settings, warnings, errors };
}

const peers = (text: string) => {
  const { settings } = read(text);
  return settings.peers.map((peer) => peer.resolveEndpoints ?? settings.resolveEndpoints ?? true);
};
const OFF = "# wgd: ResolveEndpoints = off\n";

Deno.test("settings: ResolveEndpoints in [Interface] or above it applies to the whole file", () => {
  deepEqual(peers("[Interface]\n[Peer]\n[Peer]\n"), [true, true]);
  deepEqual(peers(`${OFF}[Interface]\n[Peer]\n`), [false]);
  deepEqual(peers(`[Interface]\n${OFF}Address = 10.0.0.1\n[Peer]\n[ peer ] # Anna\n`), [false, false]);
  deepEqual(peers(`\ufeff${OFF}[Peer]\n[P eer]\n`), [false, true]);
});

Deno.test("settings: ResolveEndpoints in a [Peer] or directly above it applies to that peer", () => {
  deepEqual(peers(`[Peer]\nPublicKey = x\n${OFF}\n[Peer]\n`), [false, true]);
  deepEqual(peers(`[Peer]\nPublicKey = x\n\n${OFF}# Name = Anna\n[Peer]\n`), [true, false]);
  deepEqual(peers(`[Peer]\n${OFF}`), [false]);
  deepEqual(peers(`${OFF}\n[Peer]\n[Peer]\n#WGD:resolveendpoints=ON\r\nPublicKey = x\n`), [false, true]);
});

Deno.test("settings: all others apply to the whole file, wherever they are", () => {
  const { settings, warnings, errors } = read(
    "# wgd: Endpoint = vpn.example:51820\n[Interface]\n#wgd:clientdns=10.0.0.1, 10.0.0.2 # ours\n" +
      "[Peer]\n# wgd: Disable = udp-gso\n# wgd: Disable = wide, tun-tcp\n# wgd: Lanes = Auto\n",
  );
  deepEqual(settings, {
    endpoint: "vpn.example:51820",
    clientDNS: "10.0.0.1, 10.0.0.2",
    disable: ["udp-gso", "wide", "tun-tcp"],
    lanes: "auto",
    peers: [{}],
  });
  deepEqual([...warnings, ...errors], []);
});

Deno.test("settings: the last line counts, and an empty value removes an earlier setting", () => {
  equal(read("# wgd: Endpoint = a\n# wgd: Endpoint = b\n").settings.endpoint, "b");
  equal("endpoint" in read("# wgd: Endpoint = a\n# wgd: Endpoint =\n").settings, false);
  deepEqual(peers(`${OFF}# wgd: ResolveEndpoints =\n[Peer]\n`), [true]);
});

Deno.test("settings: a value that cannot be used is an error with file, line and key", () => {
  const cases: [string, string, RegExp][] = [
    [
      "ResolveEndpoints = maybe",
      "`maybe' is neither on nor off",
      /ResolveEndpoints: found "maybe", expected on/,
    ],
    [
      "Lanes = 8",
      "`8' is not a number of lanes",
      /Lanes: found "8", expected auto, auto:NUMBER or a number from 0 to 7/,
    ],
    [
      "disable = udp-gso, fast",
      '"fast" is not a feature that can be turned off',
      /Disable: there are tun-tcp, /,
    ],
  ];
  for (const [line, message, hint] of cases) {
    const text = `[Interface]\n\n# wgd: ${line}\n[Peer]\n`;
    throws(() => parseQuickConfig(text, { file: "a.conf" }), ConfigError);
    const [error, ...others] = read(text).errors;
    deepEqual(others, []);
    equal(error!.message, message);
    match(error!.hint, /^a\.conf:3: /);
    match(error!.hint, hint);
  }
});

Deno.test("settings: an unknown key or a missing = is warned of, any other comment is a comment", () => {
  const warned = (comment: string) => read(`[Interface]\n${comment}\n`).warnings;
  deepEqual(warned("# wgd: ResolvEndpoint = off"), [
    'Warning: a.conf:2: "ResolvEndpoint" is not a setting of wgd: did you mean ResolveEndpoints?',
  ]);
  match(
    warned("# wgd: Colour = red")[0]!,
    /"Colour" is not a setting of wgd: expected one of Interface, /,
  );
  deepEqual(warned("# wgd: Disable udp-gso"), [
    'Warning: a.conf:2: Disable: found no "=", expected "# wgd: Disable = VALUE"',
  ]);
  for (
    const comment of ["# wgd: see the manual", "# wgd: the MTU = 1280 is right", "# wgd:", "# wgd", "# = 1"]
  ) {
    deepEqual(warned(comment), []);
  }
});

Deno.test("settings: a megabyte of spaces is read in linear time", () => {
  const blanks = " \t".repeat(500_000);
  read(`# wgd:${blanks}Endpoint${blanks}=${blanks}x${blanks}#${blanks}\n# wgd:${blanks}x${blanks}y\n`);
});

Deno.test("settings: the manual explains each setting", () => {
  for (const key of SETTING_KEYS) match(manual, new RegExp(`^- \\\`# wgd: ${key} = `, "m"));
});
