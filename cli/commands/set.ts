/** `wgd set`. @module */

import { nearest } from "../../core/config/nearest.ts";
import {
  readAllowedIps,
  readEndpoint,
  readFwmark,
  readKeepalive,
  readKey,
  readListenPort,
  ValueError,
} from "../../core/config/values.ts";
import { setDevice } from "../../core/client/devices.ts";
import { type DeviceChange, type PeerChange, peerChange } from "../../core/uapi/set.ts";
import { servicePort } from "../../core/client/system.ts";
import { resolve } from "../endpoint.ts";
import { reportUapiError } from "../failure.ts";
import { SET_KEYWORDS } from "../grammar.ts";
import { encodeLatin1 } from "../input.ts";
import { readKeyFile } from "../key_file.ts";
import { programName } from "../program.ts";
import { complain, complainBytes } from "../render/output.ts";

/** Changes an interface as the command line requests. */
export async function set(args: readonly string[]): Promise<number> {
  const [name, ...words] = args;
  if (name === undefined || words.length === 0) {
    complain(
      `Usage: ${programName()} set <interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>] ` +
        "[peer <base64 public key> [remove] [preshared-key <file path>] [endpoint <ip>:<port>] " +
        "[persistent-keepalive <interval seconds>] " +
        "[allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...] ]...",
    );
    return 1;
  }
  const change = await readWords(words);
  if (!change) return 1;
  // IFNAMSIZ is 16 with the final zero.
  const interfaceName = name.slice(0, 15);
  try {
    await setDevice(interfaceName, change);
    return 0;
  } catch (error) {
    return reportUapiError("Unable to modify interface", error, interfaceName);
  }
}

/** Parses the words in order and reports the first error. */
async function readWords(words: readonly string[]): Promise<DeviceChange | undefined> {
  const change: DeviceChange = { replacePeers: false, peers: [] };
  for (let at = 0; at < words.length;) {
    const word = words[at]!;
    const peer = change.peers.at(-1);
    try {
      const taken = await readWord(change, peer, word, words[at + 1]);
      if (taken === 0) {
        complain(`Invalid argument: ${word}`);
        complain(`hint: ${adviseWord(word, words[at + 1], peer)}`);
        return undefined;
      }
      at += taken;
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      // A quoted part of a key file has one character for each byte.
      if (word.endsWith("-key")) complainBytes(encodeLatin1(`${error.message}\n`));
      else complain(error.message);
      complain(`hint: ${word}: ${error.advice}`);
      return undefined;
    }
  }
  return change;
}

/** @returns How many words were read; 0 if the first one is not allowed here. */
async function readWord(
  change: DeviceChange,
  peer: PeerChange | undefined,
  word: string,
  value: string | undefined,
): Promise<number> {
  if (word === "remove" && peer) {
    peer.remove = true;
    return 1;
  }
  if (value === undefined) return 0;
  if (word === "peer") {
    change.peers.push(peerChange(readKey(value)));
    return 2;
  }
  const known = peer ? await readPeerWord(peer, word, value) : await readInterfaceWord(change, word, value);
  return known ? 2 : 0;
}

async function readInterfaceWord(change: DeviceChange, word: string, value: string): Promise<boolean> {
  switch (word) {
    case "listen-port":
      change.listenPort = readListenPort(value, servicePort);
      return true;
    case "fwmark":
      change.fwmark = readFwmark(value);
      return true;
    case "private-key":
      change.privateKey = await readKeyFile(value);
      return true;
    default:
      return false;
  }
}

async function readPeerWord(peer: PeerChange, word: string, value: string): Promise<boolean> {
  switch (word) {
    case "endpoint":
      peer.endpoint = await resolve(readEndpoint(value));
      return true;
    case "allowed-ips": {
      const { replace, changes } = readAllowedIps(value.replace(/[ \t-\r]+/g, ""), complain);
      // If it is given twice, the lists add up, and the last one decides whether they replace.
      peer.replaceAllowedIps = replace;
      peer.allowedIps.push(...changes);
      return true;
    }
    case "persistent-keepalive":
      peer.persistentKeepalive = readKeepalive(value);
      return true;
    case "preshared-key":
      peer.presharedKey = await readKeyFile(value);
      return true;
    default:
      return false;
  }
}

const INTERFACE_WORDS: readonly string[] = Object.keys(SET_KEYWORDS.interface);
const PEER_WORDS: readonly string[] = Object.keys(SET_KEYWORDS.peer);

function adviseWord(word: string, value: string | undefined, peer: PeerChange | undefined): string {
  const expected = `expected one of ${
    (peer ? [...PEER_WORDS, "peer"] : [...INTERFACE_WORDS, "peer"]).join(", ")
  }`;
  if (peer && INTERFACE_WORDS.includes(word)) {
    return `found "${word}" after a peer, expected it before the first one`;
  }
  if (!peer && PEER_WORDS.includes(word)) return `found "${word}" before any peer, expected "peer KEY" first`;
  if (value === undefined && [...INTERFACE_WORDS, ...PEER_WORDS, "peer"].includes(word)) {
    return `found "${word}" at the end, expected a value after it`;
  }
  const near = nearest(word, peer ? [...PEER_WORDS, "peer"] : [...INTERFACE_WORDS, ...PEER_WORDS, "peer"]);
  return `found "${word}", ${near ? `did you mean ${near}?` : expected}`;
}
