/**
 * Diagnostics of an interface as text for users.
 *
 * @module
 */

import type { InterfaceBackend } from "../../core/config/backend.ts";
import type { Diagnostics } from "../../core/uapi/diagnostics.ts";
import type { Colors } from "./colors.ts";

/** The reasons for drops that the packet path, the protocol and the kernel count. */
export const REASONS: Readonly<Record<string, string>> = {
  "packet.noPeer": "to send: not IP, or to an address in no peer's allowed ips",
  "packet.noEndpoint": "to send: the peer has no endpoint, or none of this address family",
  "packet.malformedInner": "to send: the kernel passed something that is not a packet",
  "packet.tooBig": "to send: too big for one UDP datagram, which needs a smaller MTU",
  "packet.sendError": "to send: the socket refused it",
  "packet.cookieUnsent": "to send: a cookie too soon after another, while the send buffer was half full",
  "packet.malformedOuter": "received: not a WireGuard message",
  "packet.handshakeQueueFull": "received: a handshake message while the queue was full",
  "packet.unknownIndex": "received: for an unknown or expired session",
  "packet.badTag": "received: not authentic",
  "packet.replayed": "received: seen before, or too old",
  "packet.malformedOpened": "received: authentic, but not an IP packet",
  "packet.wrongSource": "received: from an address that is not in the peer's allowed ips",
  "packet.tunError": "received: the interface refused it",
  "protocol.malformed": "handshake: of a wrong type or length",
  "protocol.notReady":
    "handshake: while the interface was down or had no private key, or overtaken by a change or another handshake",
  "protocol.badMac1": "handshake: sender does not know this interface's public key (mac1)",
  "protocol.needsCookie": "handshake: under load, answered with a cookie",
  "protocol.rateLimited": "handshake: under load, too many from one source",
  "protocol.lowOrder": "handshake: invalid public key",
  "protocol.badStatic": "handshake: initiation that does not decrypt",
  "protocol.unknownPeer": "handshake: initiation from an unknown peer",
  "protocol.badTimestamp": "handshake: initiation whose timestamp does not decrypt",
  "protocol.replayedInitiation": "handshake: initiation with a timestamp older than the newest seen",
  "protocol.floodedInitiation": "handshake: initiation within 20 ms of the last",
  "protocol.unknownIndex": "handshake: unexpected response or cookie",
  "protocol.badResponse": "handshake: response that does not decrypt (a wrong key or preshared key)",
  "protocol.unexpectedCookie": "handshake: more than one cookie for a message",
  "protocol.badCookie": "handshake: cookie that does not decrypt",
  "protocol.stagedOverflow": "to send: waited for a handshake, and newer packets replaced it",
  "protocol.stagedPurged": "to send: waited for a handshake that never came",
  "system.tunRead": "reads from the interface that failed",
  "system.tunWrite": "writes to the interface that failed",
  "system.socketReceive": "receives that failed, including ICMP errors and empty datagrams",
  "system.socketOverflow": "received: the socket's buffer was full",
};

const QUEUES: Record<string, string> = {
  handshakes: "handshakes to answer",
  staged: "packets that wait for a handshake",
  rateLimiter: "sources of handshakes under load",
  control: "programs at the control socket",
  lanes: "lanes at work",
  receiveIPv4: "receive buffer, IPv4",
  receiveIPv6: "receive buffer, IPv6",
  sendIPv4: "send buffer, IPv4",
  sendIPv6: "send buffer, IPv6",
};

/** Renders features, drops and queues, which only a wgd process reports. */
export function* prettyDiagnostics(
  backend: InterfaceBackend,
  diagnostics: Diagnostics | undefined,
  { bold, reset, yellow }: Colors,
): Generator<string, void> {
  const heading = (text: string) => `\n${yellow}${bold}${text}${reset}:\n`;
  const line = (label: string, value: string) => `  ${bold}${label}${reset}: ${value}\n`;
  if (diagnostics === undefined) {
    const why = backend === "kernel"
      ? "the kernel runs the interface; ip -s link has its counters"
      : "another program runs the interface";
    yield `${heading("diagnostics")}  (none: ${why})\n`;
    return;
  }
  yield heading("features");
  for (const { feature, on, why } of diagnostics.features) {
    yield line(feature, `${on ? "on" : "off"}${why === "" ? "" : on ? `, but ${why}` : `: ${why}`}`);
  }
  yield heading("dropped");
  const dropped = Object.entries(diagnostics.drops).filter(([, count]) => count > 0);
  if (dropped.length === 0) yield "  (nothing)\n";
  for (const [reason, count] of dropped) yield line(String(count), REASONS[reason] ?? reason);
  yield heading("queues");
  for (const { queue, length, bound, unit } of diagnostics.queues) {
    yield line(QUEUES[queue] ?? queue, `${length} of ${bound} ${unit}`);
  }
}
