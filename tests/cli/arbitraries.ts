/**
 * Command lines, files and interface states as users and implementations write them: mostly valid, often wrong.
 *
 * @module
 */

import fc from "fast-check";
import { formatAddress } from "../../core/config/address.ts";
import { formatKey, type Key } from "../../core/config/key.ts";
import { formatPrefix, makePrefix, type Prefix } from "../../core/config/prefix.ts";
import type { DeviceState, PeerState } from "../../core/uapi/get.ts";

/** Any 32 bytes. */
export const key: fc.Arbitrary<Key> = fc.uint8Array({ minLength: 32, maxLength: 32 });

const address: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Runs of zeros, which are special cases in the text form of IPv6.
  fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 }).map(
    Uint8Array.from.bind(Uint8Array),
  ),
);

/** Any network. */
export const prefix: fc.Arbitrary<Prefix> = fc.tuple(address, fc.nat(128)).map(([bytes, length]) =>
  makePrefix(bytes.slice(), Math.min(length, bytes.length * 8))
);

const counter = fc.oneof(
  fc.constant(0),
  fc.nat(4096),
  fc.maxSafeInteger().map(Math.abs),
  // Exact halves of a hundredth, which printf and toFixed round differently.
  fc.tuple(fc.nat(100000), fc.constantFrom(10, 20, 30, 40)).map(([n, power]) => n * 2 ** (power - 3)).filter(
    Number.isSafeInteger,
  ),
);

const peerState: fc.Arbitrary<PeerState> = fc.record({
  publicKey: key,
  presharedKey: key,
  endpoint: fc.tuple(address, fc.nat(65535)).map(([bytes, port]) => ({
    family: bytes.length === 4 ? 4 as const : 6 as const,
    address: bytes,
    port,
    scope: 0,
  })),
  lastHandshake: fc.record({
    seconds: fc.oneof(
      fc.constant(0),
      // Far enough in the past that both programs print the same age in minutes. Seconds are not compared.
      fc.integer({ min: 1, max: 1_500_000_000 }),
      fc.constant(2 ** 40),
    ),
    nanoseconds: fc.nat(999_999_999),
  }),
  txBytes: counter,
  rxBytes: counter,
  persistentKeepalive: fc.oneof(fc.constant(0), fc.nat(65535)),
  allowedIps: fc.array(prefix, { maxLength: 5 }),
}, {
  requiredKeys: ["publicKey", "lastHandshake", "txBytes", "rxBytes", "persistentKeepalive", "allowedIps"],
});

/** Any interface. */
export const deviceState: fc.Arbitrary<DeviceState> = fc.record({
  privateKey: key,
  listenPort: fc.nat(65535),
  fwmark: fc.oneof(fc.constant(0), fc.nat(0xffffffff)),
  peers: fc.array(peerState, { maxLength: 4 }),
}, { requiredKeys: ["listenPort", "fwmark", "peers"] });

const keyText = fc.oneof(
  { weight: 12, arbitrary: key.map(formatKey) },
  { weight: 1, arbitrary: key.map((bytes) => formatKey(bytes).slice(0, -1)) },
  // The last character before "=" decides whether unused bits are zero.
  {
    weight: 1,
    arbitrary: fc.tuple(key, base64()).map(([bytes, c]) => `${formatKey(bytes).slice(0, 42)}${c}=`),
  },
  {
    weight: 1,
    arbitrary: key.map((bytes) => `${formatKey(bytes).slice(0, 10)}-${formatKey(bytes).slice(11)}`),
  },
);

function base64(): fc.Arbitrary<string> {
  return fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

// No port above 65535. glibc lets it wrap, and wgd refuses it on purpose.
const portText = fc.oneof(
  { weight: 6, arbitrary: fc.nat(65535).map(String) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("domain", "+7", "-0", "0007", "-1", "7x", "0x7", "nosuchservice", "7 "),
  },
);

const fwmarkText = fc.oneof(
  fc.nat(0xffffffff).map(String),
  fc.nat(0xffffffff).map((mark) => `0x${mark.toString(16)}`),
  fc.constantFrom(
    "off",
    "OFF",
    "0",
    "0x",
    "0X5",
    "-1",
    "4294967295",
    "4294967296",
    "0xffffffff",
    "0x100000000",
    "ten",
  ),
);

const keepaliveText = fc.oneof(
  fc.nat(65535).map(String),
  fc.constantFrom("off", "Off", "65536", "-1", "025", "25s", "99999999999999999999"),
);

const ipText = fc.oneof(
  { weight: 8, arbitrary: address.map(formatAddress) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "1.2.3",
      "1.2.3.4.5",
      "01.2.3.4",
      "256.1.1.1",
      "1:2:3:4:5:6:7::",
      "::1:2:3:4:5:6:7",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom("1::2::3", ":1", "1:", ":::", "::12345", "::1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4"),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("", "example.com", "::g", "1:2:3:4:5:6:7:8:9", "::ffff:1.2.3", "::%lo"),
  },
  // Almost valid addresses.
  {
    weight: 2,
    arbitrary: fc.string({ unit: fc.constantFrom(..."0129af:::.."), minLength: 1, maxLength: 12 }),
  },
);

const maskText = fc.oneof(
  { weight: 6, arbitrary: fc.nat(32).map(String) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("33", "64", "128", "129", "", "-1", "08", "8/8", "255.0.0.0", "x"),
  },
);

const allowedIpText = fc.oneof(
  prefix.map(formatPrefix),
  ipText,
  fc.tuple(ipText, maskText).map(([ip, mask]) => `${ip}/${mask}`),
);

const allowedIpsText = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.array(allowedIpText, { minLength: 1, maxLength: 3 }).map((list) => list.join(",")),
  },
  { weight: 1, arbitrary: prefix.map((network) => `${formatPrefix(network)},`) },
);

/** Endpoints that need no lookup, and endpoints that can never be looked up. */
export const goodEndpointText: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(address, fc.nat(65535)).map(([bytes, port]) => withPort(formatAddress(bytes), String(port))),
  fc.constantFrom("localhost:5", "127.1:domain", "[fe80::1%lo]:5", "1.2.3.4", "[::1", "[::1]", ":", "x:"),
);

/** Endpoints of all kinds. */
export const endpointText: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(address, portText).map(([bytes, port]) => withPort(formatAddress(bytes), port)),
  },
  { weight: 1, arbitrary: portText.map((port) => `localhost:${port}`) },
  { weight: 1, arbitrary: portText.map((port) => `::1:${port}`) },
  { weight: 1, arbitrary: portText.map((port) => `[1.2.3.4]:${port}`) },
  // The short forms of inet_aton, and scopes.
  {
    weight: 1,
    arbitrary: fc.constantFrom("127.1:5", "0x7f.1:5", "010.1:5", "7:5", "[fe80::1%lo]:5", "[fe80::1%1]:5"),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("1.2.3.4", "1.2.3.4:", "[::1", "[::1]", "[::1]:", "[::1]5", ":", ":5", "[]:5"),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("[fe80::1%nope]:5", "[fd00::1%lo]:5", "[fd00::1%3]:5", "fe80::1%lo:5"),
  },
);

function withPort(host: string, port: string): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * The words after `set IF`. They contain the names of key files in place of keys, so the test writes these files first.
 */
export function setWords(keyFiles: readonly string[]): fc.Arbitrary<string[]> {
  const file = fc.constantFrom(...keyFiles);
  const forInterface = fc.oneof(
    portText.map((text) => ["listen-port", text]),
    fwmarkText.map((text) => ["fwmark", text]),
    file.map((path) => ["private-key", path]),
  );
  const forPeer = fc.oneof(
    endpointText.map((text) => ["endpoint", text]),
    fc.oneof(allowedIpsText, fc.constant(""), allowedIpsText.map((text) => ` ${text.replace(",", " ,\t")}`))
      .map((
        text,
      ) => ["allowed-ips", text]),
    keepaliveText.map((text) => ["persistent-keepalive", text]),
    file.map((path) => ["preshared-key", path]),
    fc.constant(["remove"]),
  );
  const peer = fc.tuple(keyText, fc.array(forPeer, { maxLength: 3 })).map((
    [text, words],
  ) => ["peer", text, ...words.flat()]);
  const sensible = fc.tuple(fc.array(forInterface, { maxLength: 2 }), fc.array(peer, { maxLength: 2 })).map((
    [a, b],
  ) => [...a.flat(), ...b.flat()]);
  const muddled = fc.array(
    fc.oneof(forInterface, forPeer, peer, fc.constantFrom(["Peer"], ["--help"], [""], ["peer"])),
    {
      maxLength: 4,
    },
  ).map((words) => words.flat());
  return fc.oneof({ weight: 3, arbitrary: sensible }, { weight: 1, arbitrary: muddled });
}

/** The text of a file for `setconf`. */
export function configText(endpoint: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const inInterface = fc.oneof(
    portText.map((text) => ["ListenPort", text]),
    fwmarkText.map((text) => ["FwMark", text]),
    keyText.map((text) => ["PrivateKey", text]),
  );
  const inPeer = fc.oneof(
    endpoint.map((text) => ["Endpoint", text]),
    allowedIpsText.map((text) => ["AllowedIPs", text]),
    keepaliveText.map((text) => ["PersistentKeepalive", text]),
    keyText.map((text) => ["PresharedKey", text]),
  );
  const strange = fc.constantFrom(
    "Address = 10.0.0.1/24",
    "PrivateKey",
    "PrivateKey =",
    "=",
    "[Peers]",
    "[]",
    "garbage",
    "PublicKey == x",
    "\u00e9 = 1",
    "Key\0 = 1",
    "\u2028",
  );
  const line = (pair: string[]) =>
    fc.constantFrom("K = V", "K=V", "  k  =V # comment", "\tK\t=\tV\r", "K= V#", "k = V   ").map((shape) =>
      shape.replace(/k/i, (k) => k === "k" ? pair[0]!.toLowerCase() : pair[0]!).replace("V", () => pair[1]!)
    );
  const noise = fc.constantFrom("", "# comment", "   ", "\r", "#[Peer]");
  const section = (header: string, lines: fc.Arbitrary<string[]>) =>
    fc.tuple(fc.constantFrom(header, ` ${header.toLowerCase()} `, header.replace("[", "[ ")), lines).map((
      [head, rest],
    ) => [head, ...rest].join("\n"));
  const lines = (pairs: fc.Arbitrary<string[]>, maxLength: number) =>
    fc.array(
      fc.oneof({ weight: 10, arbitrary: pairs.chain(line) }, { weight: 2, arbitrary: noise }, {
        weight: 1,
        arbitrary: fc.constant("").chain(() =>
          fc.oneof({ weight: 5, arbitrary: noise }, { weight: 1, arbitrary: strange })
        ),
      }),
      { maxLength },
    );
  const peer = fc.tuple(
    fc.oneof(
      { weight: 9, arbitrary: keyText.map((text) => [`PublicKey = ${text}`]) },
      { weight: 1, arbitrary: fc.constant<string[]>([]) },
    ),
    lines(inPeer, 3),
  ).map(([name, rest]) => [...name, ...rest]);
  return fc.tuple(
    fc.oneof({ weight: 8, arbitrary: fc.constant("") }, { weight: 1, arbitrary: strange }),
    fc.array(
      fc.oneof({ weight: 1, arbitrary: section("[Interface]", lines(inInterface, 3)) }, {
        weight: 2,
        arbitrary: section("[Peer]", peer),
      }),
      { maxLength: 4 },
    ),
    fc.constantFrom("", "\n"),
  ).map(([before, sections, end]) => [before, ...sections].join("\n") + end);
}

/** Insertions for texts: white space of all kinds, line ends, comments, and similar characters. */
const SLIPS = [
  ..." \t\v\f\r#=[],:/+-%.0",
  "\u00a0",
  "\ufeff",
  "\u0130",
  "\x7f",
  "\x1b",
  "\u00e9",
  "  ",
  "==",
  "0x",
];

interface Slip {
  readonly how: "insert" | "drop" | "double" | "case" | "repeat line" | "swap lines";
  /** The place, as a fraction of the whole. */
  readonly at: number;
  readonly what: string;
}

const slip: fc.Arbitrary<Slip> = fc.record({
  how: fc.constantFrom("insert", "insert", "drop", "double", "case", "repeat line", "swap lines"),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  what: fc.constantFrom(...SLIPS),
});

function slipped(text: string, { how, at, what }: Slip): string {
  const position = Math.floor(at * text.length);
  const [before, here, behind] = [text.slice(0, position), text.charAt(position), text.slice(position + 1)];
  const lines = text.split("\n");
  const line = Math.floor(at * lines.length);
  switch (how) {
    case "insert":
      return before + what + here + behind;
    case "drop":
      return before + behind;
    case "double":
      return before + here + here + behind;
    case "case":
      return before + (here === here.toLowerCase() ? here.toUpperCase() : here.toLowerCase()) + behind;
    case "repeat line":
      return lines.toSpliced(line, 0, lines[line]!).join("\n");
    case "swap lines":
      return lines.toSpliced(line, 2, ...lines.slice(line, line + 2).reverse()).join("\n");
  }
}

/** Texts with some typing mistakes, as in hand-written files. */
export function handwritten(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.array(slip, { maxLength: 3 })).map(([whole, slips]) =>
    slips.reduce(slipped, whole)
  );
}

/** Words with some mistakes: in one of them, or two words exchanged, or one repeated. */
export function typed(words: fc.Arbitrary<string[]>): fc.Arbitrary<string[]> {
  return fc.tuple(words, fc.array(slip, { maxLength: 2 })).map(([all, slips]) =>
    slips.reduce((list, one) => {
      const at = Math.floor(one.at * list.length);
      if (one.how === "repeat line") return list.toSpliced(at, 0, list[at] ?? "peer");
      if (one.how === "swap lines") return list.toSpliced(at, 2, ...list.slice(at, at + 2).reverse());
      return list.map((word, index) => index === at ? slipped(word, { ...one, at: one.at * 7 % 1 }) : word);
    }, all)
  );
}

/**
 * Differences between Debian's `wg` and wgd, which are left out elsewhere: signs before allowed IPs, ports that wrap.
 */
export const contested: fc.Arbitrary<string[]> = fc.oneof(
  fc.tuple(prefix, fc.constantFrom("+", "-")).map((
    [network, sign],
  ) => ["allowed-ips", sign + formatPrefix(network)]),
  fc.integer({ min: 65536, max: 200_000 }).map((port) => ["endpoint", `192.0.2.1:${port}`]),
);
