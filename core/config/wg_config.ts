/**
 * The grammar of `wg`: what `wg setconf` reads.
 *
 * @module
 */

import { ConfigError } from "./config_error.ts";
import type { EndpointText } from "./endpoint.ts";
import { adviseLine, canonicalKey, isAmneziaKey } from "./file_keys.ts";
import type { Key } from "./key.ts";
import { asciiLower, splitLines, stripLine } from "./lines.ts";
import type { ServicePort } from "./number.ts";
import type { AllowedIpChange } from "./prefix.ts";
import {
  readAllowedIps,
  readEndpoint,
  readFwmark,
  readKeepalive,
  readKey,
  readListenPort,
  ValueError,
} from "./values.ts";

/** The part of a file that `wg` reads. A key that the file does not have is absent. */
export interface WgConfig {
  /** PrivateKey. */
  privateKey?: Key;
  /** ListenPort; 0 lets the system choose. */
  listenPort?: number;
  /** FwMark; 0 is off. */
  fwmark?: number;
  /** The [Peer] sections in order. */
  peers: PeerConfig[];
}

/** One [Peer] section. */
export interface PeerConfig {
  /** PublicKey. */
  publicKey: Key;
  /** The line that PublicKey was on, for messages. */
  publicKeyLine?: number;
  /** PresharedKey. */
  presharedKey?: Key;
  /** Endpoint; its host may be a name. */
  endpoint?: EndpointText;
  /** The line that Endpoint was on, for messages. */
  endpointLine?: number;
  /** PersistentKeepalive in seconds; 0 is off. */
  persistentKeepalive?: number;
  /** Whether AllowedIPs replace those of the peer; false if the last line had an item with `+` or `-`. */
  replaceAllowedIps: boolean;
  /** The items of all AllowedIPs lines. */
  allowedIps: AllowedIpChange[];
}

/** How to read a file. */
export interface ParseOptions {
  /**
   * Its name, for messages.
   * @default {"config"}
   */
  file?: string;
  /** The number of each line, if they are not 1, 2, 3 … (`QuickConfig.wgLines`). */
  lines?: readonly number[];
  /** Looks up names of services, which may be used in place of a port. */
  servicePort?: ServicePort;
  /** Called with a warning for each line that is accepted but looks wrong. */
  warn?: (message: string) => void;
  /** Called for each line that cannot be used; the line is skipped. Without it, the first such line is thrown. */
  onError?: (error: ConfigError) => void;
}

/**
 * Reads what `wg setconf` reads.
 *
 * White space is ignored everywhere, `#` begins a comment, keys are not case-sensitive, and sections of the same name are
 * merged.
 *
 * @throws {ConfigError} At the first line that `wg` would refuse.
 */
export function parseWgConfig(text: string, options: ParseOptions = {}): WgConfig {
  const reader = new Reader(options);
  splitLines(text).forEach((line, index) => reader.read(line, options.lines?.[index] ?? index + 1));
  return reader.finish();
}

/** A [Peer] section that is being read: its key may still follow. */
type PeerDraft = Omit<PeerConfig, "publicKey"> & { publicKey?: Key; line: number };

class Reader {
  readonly #config: Omit<WgConfig, "peers"> = {};
  readonly #peers: PeerDraft[] = [];
  readonly #options: ParseOptions;
  readonly #file: string;
  #section: "interface" | PeerDraft | undefined;
  /** After a header that is not recognized, until the next one: its lines are reported with it. */
  #skipping = false;
  /** Whether the file was reported to be AmneziaWG's; once is enough. */
  #isAmnezia = false;

  constructor(options: ParseOptions) {
    this.#options = options;
    this.#file = options.file ?? "config";
  }

  read(raw: string, number: number): void {
    const line = stripLine(raw);
    if (line === "") return;
    const header = line.startsWith("[") ? asciiLower(line) : "";
    if (header !== "") this.#skipping = false;
    if (this.#skipping) return;
    if (header === "[interface]") {
      this.#section = "interface";
      return;
    }
    if (header === "[peer]") {
      this.#section = { replaceAllowedIps: true, allowedIps: [], line: number };
      this.#peers.push(this.#section);
      return;
    }
    const equals = line.indexOf("=");
    const key = equals < 0 ? line : line.slice(0, equals);
    const value = equals < 0 ? "" : line.slice(equals + 1);
    try {
      const known = value !== "" && this.#section !== undefined &&
        (this.#section === "interface"
          ? this.#readInterface(asciiLower(key), value)
          : this.#readPeer(this.#section, asciiLower(key), value, number));
      if (known) return;
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      return this.#fail(error.message, number, canonicalKey(key), error.advice);
    }
    if (isAmneziaKey(key)) {
      if (this.#isAmnezia) return;
      this.#isAmnezia = true;
    }
    const section = typeof this.#section === "object" ? "peer" : this.#section;
    const advice = adviseLine(line, key, value, section);
    this.#skipping = header !== "";
    this.#fail(`Line unrecognized: \`${line}'`, number, canonicalKey(key), advice);
  }

  finish(): WgConfig {
    for (const peer of this.#peers) {
      if (peer.publicKey) continue;
      const advice = "found a section without PublicKey, expected one; add it, or remove the section";
      this.#fail("A peer is missing a public key", peer.line, "[Peer]", advice);
    }
    const peers = this.#peers.filter(({ publicKey }) => publicKey).map(({ line: _line, ...peer }) =>
      peer as PeerConfig
    );
    return { ...this.#config, peers };
  }

  #fail(message: string, line: number, key: string, advice: string): void {
    const error = new ConfigError(message, this.#file, line, key, advice);
    if (!this.#options.onError) throw error;
    this.#options.onError(error);
  }

  #readInterface(key: string, value: string): boolean {
    switch (key) {
      case "listenport":
        this.#config.listenPort = readListenPort(value, this.#options.servicePort);
        return true;
      case "fwmark":
        this.#config.fwmark = readFwmark(value);
        return true;
      case "privatekey":
        this.#config.privateKey = readKey(value);
        return true;
      default:
        return false;
    }
  }

  #readPeer(peer: PeerDraft, key: string, value: string, line: number): boolean {
    switch (key) {
      case "endpoint":
        peer.endpoint = readEndpoint(value);
        peer.endpointLine = line;
        return true;
      case "publickey":
        peer.publicKey = readKey(value);
        peer.publicKeyLine = line;
        return true;
      case "allowedips": {
        const { replace, changes } = readAllowedIps(value, (message) => this.#options.warn?.(message));
        // The last line decides: wg sets the flag for each line.
        peer.replaceAllowedIps = replace;
        for (const change of changes) peer.allowedIps.push(change);
        return true;
      }
      case "persistentkeepalive":
        peer.persistentKeepalive = readKeepalive(value);
        return true;
      case "presharedkey":
        peer.presharedKey = readKey(value);
        return true;
      default:
        return false;
    }
  }
}
