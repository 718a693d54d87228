/**
 * The HTTP responses for monitoring a proxy: whether its tunnel works, and its counters in the format of Prometheus. A
 * connection has one request, so only the first line of HTTP has to be parsed.
 *
 * @module
 */

import { formatKey, type Key } from "../config/key.ts";
import { formatPrefix, type Prefix } from "../config/prefix.ts";
import { joined } from "./handshake.ts";

/** Seconds for which a session is valid (REJECT_AFTER_TIME). A tunnel in use makes a new one earlier. */
const SESSION = 180;
/** A request longer than this is refused. */
const MAX_REQUEST = 8_192;

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** The requested path. */
export interface HealthQuestion {
  readonly method: string;
  /** Without a query. */
  readonly path: string;
}

/** Reads one request. */
export class HealthRequest {
  #received: Uint8Array = new Uint8Array();

  /** Handles bytes. @returns The request when it is complete; "bad" if it is invalid. */
  push(bytes: Uint8Array): HealthQuestion | "bad" | undefined {
    this.#received = joined(this.#received, bytes);
    const text = decoder.decode(this.#received);
    if (!/\r?\n\r?\n/.test(text)) return this.#received.length > MAX_REQUEST ? "bad" : undefined;
    const [, method, path] = /^([A-Z]{1,16}) (\/[^\s?]*)(?:\?\S*)? HTTP\/1\.[01]\r?\n/.exec(text) ?? [];
    return method === undefined ? "bad" : { method, path: path! };
  }
}

/** An HTTP response. */
export interface HealthAnswer {
  readonly status:
    | "200 OK"
    | "400 Bad Request"
    | "404 Not Found"
    | "405 Method Not Allowed"
    | "503 Service Unavailable";
  readonly type: string;
  readonly body: string;
}

/**
 * Writes a response, after which the connection ends.
 *
 * @param method The request's method. The response to HEAD has no body.
 */
export function formatAnswer({ status, type, body }: HealthAnswer, method: string): Uint8Array {
  const bytes = encoder.encode(body);
  const head = `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${bytes.length}\r\n` +
    "Cache-Control: no-store\r\nConnection: close\r\n\r\n";
  return method === "HEAD" ? encoder.encode(head) : joined(encoder.encode(head), bytes);
}

/** A response in plain text. */
export function plainAnswer(status: HealthAnswer["status"]): HealthAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${status}\n` };
}

/** Whether the latest handshake is recent enough for a session. */
export function isFresh(latestHandshake: number, now: number): boolean {
  return latestHandshake !== 0 && now - latestHandshake <= SESSION;
}

/**
 * Reports whether the tunnel works: whether there was a handshake within three minutes.
 *
 * @param latestHandshake The latest handshake of all peers in seconds since 1970; 0 for none.
 */
export function readiness(latestHandshake: number, now: number): HealthAnswer {
  return readinessAnswer(isFresh(latestHandshake, now), { latestHandshake });
}

/**
 * Reports whether hosts behind the tunnel answer pings.
 *
 * @param answered When each answered last, in seconds since 1970; 0 for never.
 * @param interval Seconds between two pings.
 */
export function aliveness(
  answered: ReadonlyMap<string, number>,
  interval: number,
  now: number,
): HealthAnswer {
  // An answer may take two seconds, as in wireproxy.
  const late = [...answered.values()].some((at) => now - at > interval + 2);
  return readinessAnswer(
    !late,
    Object.fromEntries([...answered].map(([host, at]) => [host, Math.floor(at)])),
  );
}

function readinessAnswer(ready: boolean, body: object): HealthAnswer {
  return {
    status: ready ? "200 OK" : "503 Service Unavailable",
    type: "application/json",
    body: `${JSON.stringify(body)}\n`,
  };
}

/** Values of one metric. */
export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: Iterable<{ readonly labels?: Readonly<Record<string, string>>; readonly value: number }>;
}

/** A peer, as `metricsOfPeers` needs it. */
export interface MeasuredPeer {
  readonly publicKey: Key;
  readonly allowedIps: readonly Prefix[];
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly lastHandshake: { readonly seconds: number };
}

/** Metrics of peers, with the names that existing dashboards for WireGuard use. */
export function metricsOfPeers(interfaceName: string, peers: readonly MeasuredPeer[]): Metric[] {
  const metric = (
    name: string,
    type: Metric["type"],
    help: string,
    value: (peer: MeasuredPeer) => number,
  ): Metric => ({
    name,
    type,
    help,
    samples: peers.map((peer) => ({
      labels: {
        interface: interfaceName,
        public_key: formatKey(peer.publicKey),
        allowed_ips: peer.allowedIps.map(formatPrefix).join(","),
      },
      value: value(peer),
    })),
  });
  return [
    metric("wireguard_sent_bytes_total", "counter", "Bytes sent to the peer.", ({ txBytes }) => txBytes),
    metric(
      "wireguard_received_bytes_total",
      "counter",
      "Bytes received from the peer.",
      ({ rxBytes }) => rxBytes,
    ),
    metric(
      "wireguard_latest_handshake_seconds",
      "gauge",
      "Latest handshake in seconds since 1970; 0 for none.",
      ({ lastHandshake }) => lastHandshake.seconds,
    ),
  ];
}

/** A metric whose samples differ in one label. */
export function metricBy(
  name: string,
  type: Metric["type"],
  help: string,
  label: string,
  values: Iterable<readonly [string, number]>,
): Metric {
  return {
    name,
    type,
    help,
    samples: [...values].map(([word, value]) => ({ labels: { [label]: word }, value })),
  };
}

/** The type of {@linkcode formatMetrics}. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Writes metrics in the text format of Prometheus. */
export function formatMetrics(metrics: Iterable<Metric>): string {
  let text = "";
  for (const { name, type, help, samples } of metrics) {
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const { labels = {}, value } of samples) {
      const list = Object.entries(labels).map(([key, word]) => `${key}="${escaped(word)}"`).join(",");
      text += `${name}${list && `{${list}}`} ${value}\n`;
    }
  }
  return text;
}

function escaped(word: string): string {
  return word.replace(/[\\"\n]/g, (character) => character === "\n" ? "\\n" : `\\${character}`);
}
