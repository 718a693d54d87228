/**
 * What happens for each handshake, each packet and each configuration.
 *
 * @module
 */

import { x25519 } from "@noble/curves/ed25519.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, diffieHellman, randomBytes } from "node:crypto";
import { parseWgConfig } from "../../core/config/wg_config.ts";
import type { Prefix } from "../../core/config/prefix.ts";
import { AllowedIps } from "../../core/protocol/allowed_ips.ts";
import { Wasm } from "../../wasm/mod.ts";
import { formatConfig, generateKeys } from "../netns/lab/keys.ts";
import type { Group } from "./micro.ts";

const wasm = new Wasm();

/** An operation that needs nothing before it. */
function times(work: (i: number) => void): (operations: number) => void {
  return (operations) => {
    for (let i = 0; i < operations; i++) work(i);
  };
}

function curve(): Group {
  const secret = randomBytes(32), point = x25519.getPublicKey(randomBytes(32)), shared = new Uint8Array(32);
  // RFC 8410: what goes before the 32 bytes.
  const der = (prefix: string, raw: Uint8Array) => Buffer.concat([Buffer.from(prefix, "hex"), raw]);
  const privateKey = createPrivateKey({
    key: der("302e020100300506032b656e04220420", secret),
    format: "der",
    type: "pkcs8",
  });
  const publicKey = createPublicKey({
    key: der("302a300506032b656e032100", point),
    format: "der",
    type: "spki",
  });
  return {
    title: "X25519: shared secret",
    cases: [
      { name: "wgd", run: times(() => void wasm.dh(shared, secret, point)) },
      { name: "noble", run: times(() => void x25519.getSharedSecret(secret, point)) },
      { name: "OpenSSL", run: times(() => void diffieHellman({ privateKey, publicKey })) },
    ],
  };
}

function hash(size: number): Group {
  const message = randomBytes(size), digest = new Uint8Array(32);
  return {
    title: `BLAKE2s: ${size} bytes`,
    cases: [
      { name: "wgd", bytes: size, run: times(() => wasm.hash(digest, message)) },
      { name: "noble", bytes: size, run: times(() => void blake2s(message)) },
      {
        name: "OpenSSL",
        bytes: size,
        run: times(() => void createHash("blake2s256").update(message).digest()),
      },
    ],
  };
}

/** Who gets a packet, of so many prefixes of all lengths from 8 to 32, beside a list that is looked through. */
function lookup(count: number): Group {
  const prefixes = Array.from({ length: count }, (): Prefix => {
    const length = 8 + Math.floor(Math.random() * 25);
    const address = new Uint8Array(randomBytes(4));
    for (let bit = length; bit < 32; bit++) address[bit >> 3]! &= ~(128 >> (bit & 7));
    return { family: 4, address, length };
  });
  const trie = new AllowedIps();
  for (const [i, prefix] of prefixes.entries()) trie.insert(prefix, i + 1);
  const list = prefixes.map(({ address, length }) => ({
    word: Buffer.from(address).readInt32BE(),
    mask: -1 << (32 - length),
    length,
  }));
  // As many hits as misses.
  const packets = Array.from(
    { length: 256 },
    (_, i) =>
      i % 2 === 0 ? randomBytes(4) : Buffer.from(prefixes[Math.floor(Math.random() * count)]!.address),
  );
  const words = packets.map((packet) => packet.readInt32BE());
  let found = 0;
  return {
    title: `Allowed IPs: lookup among ${count.toLocaleString("en")}`,
    cases: [
      { name: "wgd, trie", run: times((i) => found += trie.lookup4(packets[i & 255]!, 0)) },
      {
        name: "list",
        run: times((i) => {
          const word = words[i & 255]!;
          let best = -1, longest = -1;
          for (let at = 0; at < list.length; at++) {
            const entry = list[at]!;
            if ((word & entry.mask) === entry.word && entry.length > longest) {
              longest = entry.length;
              best = at;
            }
          }
          found += best;
        }),
      },
    ],
  };
}

function parse(count: number): Group {
  const text = formatConfig({
    privateKey: generateKeys().privateKey,
    listenPort: 51820,
    peers: Array.from({ length: count }, (_, i) => ({
      publicKey: randomBytes(32).toString("base64"),
      endpoint: "192.0.2.1:51820",
      allowedIps: [`10.0.${i >> 8 & 255}.${i & 255}/32`, `fd00::${(i & 0xffff).toString(16)}/128`],
      persistentKeepalive: 25,
    })),
  });
  return {
    title: `Configuration: parse ${count.toLocaleString("en")} ${count === 1 ? "peer" : "peers"}`,
    cases: [{ name: "wgd", bytes: text.length, run: times(() => void parseWgConfig(text)) }],
  };
}

/** All of it. */
export const PARTS: readonly Group[] = [
  curve(),
  hash(64),
  hash(1_024),
  lookup(1),
  lookup(1_000),
  lookup(100_000),
  parse(1),
  parse(1_000),
];
