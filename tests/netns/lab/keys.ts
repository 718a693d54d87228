/**
 * Keys and configuration files for tests, made without any code of ours.
 *
 * @module
 */

import { generateKeyPairSync, randomBytes } from "node:crypto";

/** A key pair in base64. */
export interface Keys {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** A new key pair, by OpenSSL. */
export function generateKeys(): Keys {
  const { x, d } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  // wg compares what it wrote with what it reads back, so clamp as `wg genkey` does.
  const secret = Buffer.from(d!, "base64url");
  secret[0]! &= 248;
  secret[31]! = secret[31]! & 127 | 64;
  return {
    privateKey: secret.toString("base64"),
    publicKey: Buffer.from(x!, "base64url").toString("base64"),
  };
}

/** A new preshared key in base64. */
export function generatePresharedKey(): string {
  return randomBytes(32).toString("base64");
}

/** What a configuration file says of a peer. */
export interface PeerConfig {
  readonly publicKey: string;
  readonly allowedIps: readonly string[];
  readonly presharedKey?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly persistentKeepalive?: number | undefined;
}

/** What a configuration file says. */
export interface Config {
  readonly privateKey?: string | undefined;
  readonly listenPort?: number | undefined;
  readonly fwmark?: number | undefined;
  readonly peers?: readonly PeerConfig[];
  /** Lines for wg-quick, as `["Address = 10.0.0.1/24"]`. */
  readonly quick?: readonly string[];
}

/** Writes a configuration file for `wg setconf` or, with lines of its own, for wg-quick. */
export function formatConfig(config: Config): string {
  const line = (name: string, value: string | number | undefined) =>
    value === undefined ? [] : [`${name} = ${value}`];
  const section = (name: string, lines: readonly string[]) => [`[${name}]`, ...lines, ""];
  return [
    ...section("Interface", [
      ...line("PrivateKey", config.privateKey),
      ...line("ListenPort", config.listenPort),
      ...line("FwMark", config.fwmark),
      ...config.quick ?? [],
    ]),
    ...(config.peers ?? []).flatMap((peer) =>
      section("Peer", [
        ...line("PublicKey", peer.publicKey),
        ...line("PresharedKey", peer.presharedKey),
        ...line("AllowedIPs", peer.allowedIps.join(", ") || undefined),
        ...line("Endpoint", peer.endpoint),
        ...line("PersistentKeepalive", peer.persistentKeepalive),
      ])
    ),
  ].join("\n");
}
