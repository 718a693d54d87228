/**
 * `get` as text and as values: the state of an interface (https://www.wireguard.com/xplatform/).
 *
 * @module
 */

import {
  formatSocketAddress,
  type InterfaceIndex,
  parseSocketAddress,
  type SocketAddress,
} from "../config/endpoint.ts";
import { formatHexKey, isZeroKey, type Key, parseHexKey } from "../config/key.ts";
import { parseDecimal } from "../config/number.ts";
import { formatPrefix, parsePrefix, type Prefix } from "../config/prefix.ts";
import { Errno } from "./errno.ts";
import { forEachLine, inChunks, parseErrno, UapiError, understood } from "./lines.ts";

/** The state of an interface, as `get` returns it. */
export interface DeviceState {
  /** Absent if none is set. */
  privateKey?: Key;
  /** 0 if none is bound. */
  listenPort: number;
  /** 0 is off. */
  fwmark: number;
  /** In the interface's order. */
  peers: PeerState[];
}

/** The state of a peer, as `get` returns it. */
export interface PeerState {
  /** Its public key. */
  publicKey: Key;
  /** Absent if none is set. */
  presharedKey?: Key;
  /** Its last known endpoint; absent if there is none. */
  endpoint?: SocketAddress;
  /** The name that is looked up when it stops answering there; absent if none. Only wgd has this. */
  endpointName?: string;
  /** Since 1970; both 0 if there was none. */
  lastHandshake: { seconds: number; nanoseconds: number };
  /** Bytes sent to it, counting the whole UDP payload. */
  txBytes: number;
  /** Bytes received from it, counting the whole UDP payload. */
  rxBytes: number;
  /** Seconds; 0 is off. */
  persistentKeepalive: number;
  /** Networks routed to it. */
  allowedIps: Prefix[];
}

const NO_KEY = "0".repeat(64);

/**
 * Reads a reply to `get=1`, up to its empty line.
 *
 * Unknown keys are ignored, so that an implementation may add its own.
 *
 * @param interfaceIndex Resolves scopes of link-local endpoints that are given by name.
 * @throws {UapiError} With the error that the reply reports; `EPROTO` if the reply is not one.
 */
export function parseGet(text: string, interfaceIndex?: InterfaceIndex): DeviceState {
  const peers: PeerState[] = [];
  const reader = new GetReader((peer) => peers.push(peer), interfaceIndex);
  reader.read(text);
  return { ...reader.end(), peers };
}

/** Reads a reply to `get=1` piece by piece, so that neither its text nor its peers have to be in memory together. */
export class GetReader {
  readonly #take: (peer: PeerState) => void;
  readonly #interfaceIndex: InterfaceIndex | undefined;
  readonly #device: Omit<DeviceState, "peers"> = { listenPort: 0, fwmark: 0 };
  #peer: PeerState | undefined;
  #errno: number | undefined;
  /** The beginning of a line whose end has not come yet. */
  #rest = "";
  #ended = false;

  /**
   * Reads nothing yet.
   *
   * @param take Called with each peer when all of it was read.
   */
  constructor(take: (peer: PeerState) => void, interfaceIndex?: InterfaceIndex) {
    this.#take = take;
    this.#interfaceIndex = interfaceIndex;
  }

  /** Reads the next piece. @throws {UapiError} `EPROTO` if it cannot be part of a reply. */
  read(piece: string): void {
    const text = this.#rest + piece;
    const length = text.lastIndexOf("\n") + 1;
    this.#rest = text.slice(length);
    if (!this.#ended) {
      this.#ended = forEachLine(text.slice(0, length), (key, value) => this.#readLine(key, value));
    }
  }

  /**
   * Takes the last peer.
   *
   * @returns What is not about peers.
   * @throws {UapiError} As `parseGet`.
   */
  end(): Omit<DeviceState, "peers"> {
    if (!this.#ended || this.#errno === undefined) {
      throw new UapiError(Errno.EPROTO, "the reply is incomplete");
    }
    if (this.#errno !== 0) {
      throw new UapiError(this.#errno, `the interface reports errno ${this.#errno}`);
    }
    this.#finishPeer();
    return this.#device;
  }

  #finishPeer(): void {
    if (this.#peer) this.#take(this.#peer);
    this.#peer = undefined;
  }

  #readLine(key: string, value: string): void {
    if (key === "public_key") {
      this.#finishPeer();
      this.#peer = {
        publicKey: understood(parseHexKey(value), key, value),
        lastHandshake: { seconds: 0, nanoseconds: 0 },
        txBytes: 0,
        rxBytes: 0,
        persistentKeepalive: 0,
        allowedIps: [],
      };
    } else if (key === "errno") {
      // Replies to `get` report a positive number and replies to `set` a negative one; both are accepted.
      this.#errno = understood(parseErrno(value), key, value);
    } else if (this.#peer) {
      readPeerState(this.#peer, key, value, this.#interfaceIndex);
    } else if (key === "private_key") {
      this.#device.privateKey = understood(parseHexKey(value), key, value);
    } else if (key === "listen_port") {
      this.#device.listenPort = understood(parseDecimal(value, 0xffff), key, value);
    } else if (key === "fwmark") {
      this.#device.fwmark = understood(parseDecimal(value, 0xffffffff), key, value);
    }
  }
}

function readPeerState(peer: PeerState, key: string, value: string, interfaceIndex?: InterfaceIndex): void {
  switch (key) {
    case "preshared_key": {
      const presharedKey = understood(parseHexKey(value), key, value);
      if (!isZeroKey(presharedKey)) peer.presharedKey = presharedKey;
      break;
    }
    case "endpoint":
      peer.endpoint = understood(parseSocketAddress(value, interfaceIndex), key, value);
      break;
    case "endpoint_name":
      peer.endpointName = value;
      break;
    case "last_handshake_time_sec":
      peer.lastHandshake.seconds = understood(parseDecimal(value, 2 ** 63), key, value);
      break;
    case "last_handshake_time_nsec":
      peer.lastHandshake.nanoseconds = understood(parseDecimal(value, 2 ** 63), key, value);
      break;
    case "tx_bytes":
      peer.txBytes = understood(parseDecimal(value, 2 ** 64), key, value);
      break;
    case "rx_bytes":
      peer.rxBytes = understood(parseDecimal(value, 2 ** 64), key, value);
      break;
    case "persistent_keepalive_interval":
      peer.persistentKeepalive = understood(parseDecimal(value, 0xffff), key, value);
      break;
    case "allowed_ip":
      peer.allowedIps.push(understood(value.includes("/") ? parsePrefix(value) : null, key, value));
      break;
  }
}

/**
 * Writes a whole reply to `get=1`, from the first key to `errno=0` and the empty line.
 *
 * @param state Its peers are read while the chunks are.
 * @returns Chunks of some ten kilobytes.
 */
export function formatGet(state: WrittenState): Generator<string, void> {
  return inChunks(getLines(state));
}

/** A state whose peers are read one by one. */
type WrittenState = Omit<DeviceState, "peers"> & { peers: Iterable<PeerState> };

function* getLines(state: WrittenState): Generator<string, void> {
  if (state.privateKey) yield `private_key=${formatHexKey(state.privateKey)}\n`;
  if (state.listenPort !== 0) yield `listen_port=${state.listenPort}\n`;
  if (state.fwmark !== 0) yield `fwmark=${state.fwmark}\n`;
  for (const peer of state.peers) {
    yield `public_key=${formatHexKey(peer.publicKey)}\n` +
      `preshared_key=${peer.presharedKey ? formatHexKey(peer.presharedKey) : NO_KEY}\n` +
      "protocol_version=1\n";
    if (peer.endpoint) yield `endpoint=${formatSocketAddress(peer.endpoint)}\n`;
    if (peer.endpointName) yield `endpoint_name=${peer.endpointName}\n`;
    yield `last_handshake_time_sec=${peer.lastHandshake.seconds}\n` +
      `last_handshake_time_nsec=${peer.lastHandshake.nanoseconds}\n` +
      `tx_bytes=${peer.txBytes}\n` +
      `rx_bytes=${peer.rxBytes}\n` +
      `persistent_keepalive_interval=${peer.persistentKeepalive}\n`;
    for (const prefix of peer.allowedIps) yield `allowed_ip=${formatPrefix(prefix)}\n`;
  }
  yield "errno=0\n\n";
}
