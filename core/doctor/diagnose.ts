/**
 * Diagnoses an interface from facts. This module does no I/O.
 *
 * @module
 */

import type { InterfaceBackend } from "../config/backend.ts";
import { formatAddress } from "../config/address.ts";
import { formatSocketAddress } from "../config/endpoint.ts";
import { equalBytes, formatKey, type Key } from "../config/key.ts";
import { containsPrefix, formatPrefix, parsePrefix } from "../config/prefix.ts";
import type { Difference } from "../quick/plan/differences.ts";
import type { DeviceState, PeerState } from "../uapi/get.ts";
import { type Chain, closedChain, droppingRule, parseRuleset } from "./firewall.ts";

/** The result of one check. */
export interface Finding {
  /** `ok`: correct; `warn`: this may be a mistake; `fail`: the tunnel cannot work. */
  readonly level: "ok" | "warn" | "fail";
  /** What was found. */
  readonly message: string;
  /** What to do about it; absent for `ok`. */
  readonly advice?: string;
}

/** The route to an address. */
export interface Route {
  /** The interface it leaves by. */
  readonly device: string;
  /** The largest packet on this route, in bytes. */
  readonly mtu: number;
}

/** Whether an interface is repaired: `ended` if the process for it was killed. */
export interface RepairFact {
  readonly state: "on" | "ended" | "gave-up";
  /** In a sentence. */
  readonly message: string;
}

/** What the system reports about an interface. */
export interface DoctorFacts {
  /** The interface's name now. */
  readonly name: string;
  /** What runs it. */
  readonly backend: InterfaceBackend;
  /** Whether it is a tunnel inside a program, which has no link and no routes. */
  readonly userspace?: boolean;
  readonly state: DeviceState;
  /** Its own public key; absent without a private one. */
  readonly publicKey?: Key;
  /** Names of peers by their public keys in base64. */
  readonly names: ReadonlyMap<string, string>;
  /** Whether the interface is up. */
  readonly up: boolean;
  /** Its addresses with their prefix lengths. */
  readonly addresses: readonly string[];
  /** In bytes. */
  readonly mtu: number;
  /** Its network namespace and name, in a sentence, if it was moved or renamed. */
  readonly where?: string;
  /** Routes of packets for the tunnel, by destination address; no entry if there is no route. */
  readonly routes: ReadonlyMap<string, Route>;
  /** Routes of the tunnel's own datagrams, in the namespace of its sockets and with its mark, by the endpoint's address. */
  readonly endpointRoutes: ReadonlyMap<string, Route>;
  /** What other programs have changed since `wgd quick up`. */
  readonly differences: readonly Difference[];
  /** Whether the interface is repaired; absent if its file does not turn repair on. */
  readonly repair?: RepairFact;
  /** Rules of nftables as text; empty if they cannot be read. */
  readonly firewall: string;
  /** Whether IPv4 is forwarded. */
  readonly forwarding: boolean;
  /** Seconds since 1970. */
  readonly now: number;
  /** An address that the user cannot reach, if one was given. */
  readonly target?: string;
}

/** Outer IP and UDP headers, and those of the transport message with its tag (whitepaper, section 5.4.6). */
const OVERHEAD_IPV4 = 60;
const OVERHEAD_IPV6 = 80;

/** Addresses whose routes `diagnose` needs: those of endpoints and allowed IPs, and the target. */
export function routesNeeded(
  { peers }: DeviceState,
  target?: string,
): { endpoints: string[]; inside: string[] } {
  return {
    endpoints: peers.flatMap(({ endpoint }) => endpoint ? [formatAddress(endpoint.address)] : []),
    inside: [
      ...peers.flatMap(({ allowedIps }) => allowedIps.map((prefix) => formatAddress(prefix.address))),
      ...(target ? [target] : []),
    ],
  };
}

/** Checks the interface and then each peer. */
export function* diagnose(facts: DoctorFacts): Generator<Finding, void> {
  const { name, backend, state } = facts;
  const kind = facts.userspace
    ? "is a proxy and answers"
    : backend === "kernel"
    ? "is a kernel interface"
    : "answers";
  yield { level: "ok", message: `${name} ${kind}` };
  if (facts.where) yield { level: "ok", message: facts.where };
  yield facts.publicKey
    ? { level: "ok", message: `its public key is ${formatKey(facts.publicKey)}` }
    : fail("it has no private key", `wgd set ${name} private-key FILE, or PrivateKey in its file`);
  if (!facts.up) yield fail("the interface is down", `ip link set up dev ${name}`);
  if (facts.addresses.length === 0) {
    yield fail(
      "the interface has no address",
      `ip address add 10.0.0.2/24 dev ${name}, or Address in its file`,
    );
  }
  if (facts.up && facts.addresses.length > 0) {
    yield { level: "ok", message: `it is up and has ${facts.addresses.join(", ")}` };
  }
  for (const difference of facts.differences) {
    // The finding above already reports that it is down.
    if (difference.kind !== "link" || facts.up) yield diagnoseDifference(difference, name);
  }
  if (facts.repair) yield* diagnoseRepair(facts.repair, name);
  if (state.peers.length === 0) yield fail("it has no peers", `wgd set ${name} peer KEY allowed-ips NETWORK`);
  if (/\bmasquerade\b/i.test(facts.firewall) && !facts.forwarding) {
    yield fail(
      "the firewall masquerades, but this machine does not forward IPv4",
      "sysctl -w net.ipv4.ip_forward=1, and a line in /etc/sysctl.d to keep it",
    );
  }
  const chains = parseRuleset(facts.firewall);
  const closed = closedChain(chains, state.listenPort);
  if (closed && state.listenPort !== 0 && state.peers.some((peer) => !inSession(peer, facts.now))) {
    yield {
      level: "warn",
      message:
        `the firewall drops packets that no rule accepts (${closed}), and no rule accepts UDP port ${state.listenPort}`,
      advice:
        `only needed if peers send the first packet: nft insert rule ${closed} udp dport ${state.listenPort} accept`,
    };
  }
  for (const peer of state.peers) yield* diagnosePeer(peer, facts, chains);
  if (facts.target) yield diagnoseTarget(facts.target, facts);
}

function fail(message: string, advice: string): Finding {
  return { level: "fail", message, advice };
}

/** A missing route or rule may let packets leave in the clear, a missing address stops the tunnel, and the rest is a warning. */
function diagnoseDifference({ kind, message, exposes }: Difference, name: string): Finding {
  const advice = `wgd quick reload ${name} restores it`;
  if (exposes) return fail(`${message}: packets leave this machine without the tunnel`, advice);
  return { level: kind === "address" ? "fail" : "warn", message, advice };
}

/** An ended repair leaves a tunnel that still works. One that gave up leaves what another program keeps removing. */
function* diagnoseRepair({ state, message }: RepairFact, name: string): Generator<Finding, void> {
  if (state === "gave-up") {
    yield fail(
      message,
      `find the program that removes it (times and steps are in the log in /run/wgd), then: wgd quick reload ${name}`,
    );
  } else if (state === "ended") {
    yield { level: "warn", message, advice: `wgd quick reload ${name}` };
  }
}

function* diagnosePeer(
  peer: PeerState,
  facts: DoctorFacts,
  chains: readonly Chain[],
): Generator<Finding, void> {
  const key = formatKey(peer.publicKey);
  const who = `peer ${facts.names.get(key) ?? key}`;
  if (facts.publicKey && equalBytes(peer.publicKey, facts.publicKey)) {
    yield fail(
      `${who} has this interface's own key`,
      "PublicKey must be the key of the other end: run wg show there",
    );
  }
  const { endpoint } = peer;
  let leaves = true;
  if (endpoint) {
    const where = formatSocketAddress(endpoint);
    const route = facts.endpointRoutes.get(formatAddress(endpoint.address));
    leaves = route !== undefined && route.device !== facts.name;
    if (route === undefined) {
      yield fail(
        `${who}: there is no route to its endpoint ${where}`,
        "check that there is a default route: ip route show",
      );
    } else if (route.device === facts.name) {
      yield fail(
        `${who}: packets to its endpoint ${where} would go into the tunnel itself`,
        "set a FwMark and a rule, as wgd quick does, or add a route to the endpoint outside of the tunnel",
      );
    } else {
      yield { level: "ok", message: `${who}: its endpoint ${where} is reached through ${route.device}` };
      const room = route.mtu - (endpoint.address.length === 4 ? OVERHEAD_IPV4 : OVERHEAD_IPV6);
      if (facts.mtu > room) {
        yield {
          level: "warn",
          message:
            `${who}: packets of ${facts.mtu} bytes do not fit the route to ${where}, whose MTU is ${route.mtu}`,
          advice: `${
            facts.userspace ? "" : `ip link set mtu ${room} dev ${facts.name}, or `
          }MTU = ${room} in its file`,
        };
      }
    }
  }
  const rule = droppingRule(chains, { own: facts.state.listenPort, other: endpoint?.port ?? 0 });
  if (rule) {
    yield fail(
      `${who}: this machine's firewall drops its packets: ${rule}`,
      "delete the rule; nft -a list ruleset shows it",
    );
  }
  // If packets never leave this machine, a missing handshake shows nothing about the other end.
  if (leaves && !rule) yield diagnoseHandshake(peer, who, facts);
  if (peer.allowedIps.length === 0) {
    yield fail(`${who}: it has no allowed IPs, so no packets pass`, "set its AllowedIPs");
  }
  if (facts.userspace) return;
  for (const prefix of peer.allowedIps) {
    const device = facts.routes.get(formatAddress(prefix.address))?.device;
    // 0.0.0.0 and :: mean this machine, so their routes show nothing about the tunnel.
    if (prefix.length === 0 || device === facts.name || device === "lo") continue;
    yield {
      level: "warn",
      message: `${who}: packets to ${formatPrefix(prefix)} ${
        device ? `leave through ${device}` : "have no route"
      }`,
      advice: `ip route add ${formatPrefix(prefix)} dev ${facts.name}`,
    };
  }
}

/** A session ends after three minutes (REJECT_AFTER_TIME), and a peer in use has made a new one before. */
const SESSION = 180;

function inSession({ lastHandshake: { seconds } }: PeerState, now: number): boolean {
  return seconds !== 0 && now - seconds <= SESSION;
}

function diagnoseHandshake(peer: PeerState, who: string, facts: DoctorFacts): Finding {
  const { lastHandshake: { seconds }, txBytes, rxBytes, endpoint } = peer;
  if (seconds > facts.now) {
    return fail(
      `${who}: its last handshake is in the future`,
      "the system's clock was set back; correct it: timedatectl",
    );
  }
  if (seconds !== 0) {
    const age = facts.now - seconds;
    if (onlyHandshakeCame(peer, age)) {
      const key = facts.publicKey ? formatKey(facts.publicKey) : "this interface";
      return {
        level: "warn",
        message: `${who}: handshake ${age} seconds ago, but it has not answered any packet`,
        advice:
          `at the other end, check that the allowed IPs of peer ${key} contain this interface's addresses (wg show), ` +
          "and that the firewall lets packets out of the tunnel and back",
      };
    }
    const idle = age > SESSION ? "; the next packet makes a new one" : "";
    return { level: "ok", message: `${who}: handshake ${age} seconds ago${idle}` };
  }
  if (!endpoint) {
    return {
      level: "warn",
      message: `${who}: no handshake yet, and its endpoint is unknown, so it must send the first packet`,
      advice: "send something from the other end, or set Endpoint here",
    };
  }
  if (txBytes === 0) {
    return {
      level: "warn",
      message: `${who}: no handshake yet, and nothing was sent to it`,
      advice: "send something, such as a ping, and run this again",
    };
  }
  if (rxBytes === 0) {
    const key = facts.publicKey ? formatKey(facts.publicKey) : "with this interface's public key";
    return fail(
      `${who}: no handshake yet; ${txBytes} bytes were sent, none were received`,
      `at the other end, check with wg show that its public key is ${formatKey(peer.publicKey)}, ` +
        `that it has a peer ${key}, and that it listens on port ${endpoint.port}; ` +
        "also check that every firewall on the path lets UDP through",
    );
  }
  return fail(
    `${who}: no handshake yet, although it sent ${rxBytes} bytes`,
    "compare both public keys and the preshared key, and check that neither clock was set back",
  );
}

/** Bytes of an initiation, a response, an empty packet, and the shortest that is not empty (whitepaper §5.4). */
const [INITIATION, RESPONSE, KEEPALIVE, SHORTEST] = [148, 92, 32, 64];
/** Seconds between the keepalives that answer received packets (KEEPALIVE_TIMEOUT). */
const KEEPALIVE_TIMEOUT = 10;

/**
 * Whether packets were sent and nothing was received except the handshake and keepalives. This is computed for a
 * handshake that we began, with one retry. Our own persistent keepalives get no answer, so with them this cannot be
 * determined.
 */
function onlyHandshakeCame({ txBytes, rxBytes, persistentKeepalive }: PeerState, age: number): boolean {
  if (persistentKeepalive !== 0) return false;
  const sent = Math.floor((txBytes - 2 * INITIATION - KEEPALIVE) / SHORTEST);
  const keepalives = Math.min(sent, 1 + Math.floor(age / KEEPALIVE_TIMEOUT));
  return sent > 0 && rxBytes <= RESPONSE + KEEPALIVE * keepalives;
}

function diagnoseTarget(target: string, { name, state, routes, names, userspace }: DoctorFacts): Finding {
  const owner = longestMatch(target, state.peers);
  if (!owner) {
    return fail(
      `${target} is in no peer's allowed IPs`,
      `add it to the AllowedIPs of its peer`,
    );
  }
  const device = routes.get(target)?.device;
  if (!userspace && device !== name) {
    return fail(
      `packets to ${target} ${device ? `leave through ${device}, not ${name}` : "have no route"}`,
      `ip route add ${target} dev ${name}`,
    );
  }
  const key = formatKey(owner.publicKey);
  return { level: "ok", message: `${target} goes through ${name} to peer ${names.get(key) ?? key}` };
}

function longestMatch(target: string, peers: readonly PeerState[]): PeerState | undefined {
  const whole = parsePrefix(target);
  let best = -1;
  let owner: PeerState | undefined;
  for (const peer of peers) {
    for (const prefix of peer.allowedIps) {
      if (whole && prefix.length > best && containsPrefix(prefix, whole)) {
        best = prefix.length;
        owner = peer;
      }
    }
  }
  return owner;
}
