/**
 * Answers monitoring over HTTP: `/readyz` and `/metrics`.
 *
 * @module
 */

import { formatListening, type Listening } from "../config/proxy_rules.ts";
import type { Log } from "../log.ts";
import {
  aliveness,
  formatAnswer,
  formatMetrics,
  type HealthAnswer,
  type HealthQuestion,
  HealthRequest,
  isFresh,
  type Metric,
  metricBy,
  METRICS_TYPE,
  metricsOfPeers,
  plainAnswer,
  readiness,
} from "../proxy/health.ts";
import type { HealthRules } from "../proxy/rules.ts";
import { AliveChecks } from "./alive_checks.ts";
import { HalfOpenPrograms } from "./half_open.ts";
import type { LocalConn } from "./local_conn.ts";
import { listenLocally, type LocalListener } from "./local_listener.ts";
import type { ProxyCounters } from "./proxy_counters.ts";
import { accepted, closeQuietly, writeAll } from "./relay.ts";
import type { Readings, UserNet } from "./user_net.ts";

/** Requests at once. */
const MAX_REQUESTS = 64;
/** Milliseconds that one may take. */
const REQUEST_TIMEOUT = 10_000;
/** Milliseconds that `/readyz` waits for a handshake that it has begun. A probe waits one second. */
const HANDSHAKE_WAIT = 500;
/** Seconds after which a session is renewed (REKEY_AFTER_TIME). */
const RENEWED_AFTER = 120;

/** The tunnel that is monitored. */
export interface Monitored {
  /** Name of the interface, for labels. */
  readonly name: string;
  readonly version: string;
  readonly net: Pick<UserNet, "readings" | "greet" | "ping">;
  readonly counters: () => ProxyCounters;
}

/** A server that runs. */
export class HealthServer implements Disposable {
  readonly #monitored: Monitored;
  readonly #listeners: LocalListener[] = [];
  readonly #requests = new HalfOpenPrograms(MAX_REQUESTS, REQUEST_TIMEOUT);
  readonly #alive: AliveChecks | undefined;

  private constructor(monitored: Monitored, { alive }: HealthRules) {
    this.#monitored = monitored;
    this.#alive = alive && new AliveChecks(monitored.net, alive);
  }

  /**
   * Begins to listen on all addresses, or on none.
   *
   * @throws {Deno.errors.AddrInUse} If a port is taken.
   */
  static async start(monitored: Monitored, rules: HealthRules, log: Log): Promise<HealthServer> {
    const server = new HealthServer(monitored, rules);
    try {
      for (const at of rules.health) await server.#serve(at, log);
      // Makes sessions, so that an idle tunnel is ready at the first request.
      if (rules.health.length > 0) monitored.net.greet();
      return server;
    } catch (error) {
      server[Symbol.dispose]();
      throw error;
    }
  }

  /** Where it listens. */
  get listening(): Listening[] {
    return this.#listeners.map(({ at }) => at);
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    for (const listener of this.#listeners) closeQuietly(listener);
    this.#requests.close();
    this.#alive?.[Symbol.dispose]();
  }

  async #serve(at: Listening, log: Log): Promise<void> {
    const listener = await listenLocally({ at });
    this.#listeners.push(listener);
    const failed = ({ message }: Error) => log("error", `${formatListening(at)}: ${message}`);
    (async () => {
      for await (const conn of accepted(listener, failed)) {
        const waiting = this.#requests.enter(conn);
        this.#request(conn).catch((error) => log("debug", `a request ended: ${error.message}`)).finally(
          () => {
            waiting[Symbol.dispose]();
            closeQuietly(conn);
          },
        );
      }
    })();
  }

  async #request(conn: LocalConn): Promise<void> {
    const request = new HealthRequest();
    const buffer = new Uint8Array(2_048);
    for (;;) {
      const length = await conn.read(buffer);
      if (length === null) return;
      const question = request.push(buffer.subarray(0, length));
      if (question === undefined) continue;
      const answer = question === "bad" ? plainAnswer("400 Bad Request") : await this.#answer(question);
      await writeAll(conn, formatAnswer(answer, question === "bad" ? "GET" : question.method));
      return await conn.closeWrite();
    }
  }

  async #answer({ method, path }: HealthQuestion): Promise<HealthAnswer> {
    if (method !== "GET" && method !== "HEAD") return plainAnswer("405 Method Not Allowed");
    switch (path) {
      case "/readyz":
        return this.#alive
          ? aliveness(this.#alive.answered, this.#alive.interval, Date.now() / 1_000)
          : await this.#readiness();
      case "/metrics":
        return { status: "200 OK", type: METRICS_TYPE, body: await this.#metrics() };
      default:
        return plainAnswer("404 Not Found");
    }
  }

  /** A tunnel that is not in use may work without having a session, so one is made. */
  async #readiness(): Promise<HealthAnswer> {
    const { net } = this.#monitored;
    let latest = await this.#latestHandshake();
    if (Date.now() / 1_000 - latest > RENEWED_AFTER) {
      net.greet();
      for (let waited = 0; waited < HANDSHAKE_WAIT && !isFresh(latest, Date.now() / 1_000); waited += 50) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        latest = await this.#latestHandshake();
      }
    }
    return readiness(latest, Date.now() / 1_000);
  }

  async #latestHandshake(): Promise<number> {
    const { state: { peers } } = await this.#monitored.net.readings();
    return peers.reduce((latest, { lastHandshake: { seconds } }) => Math.max(latest, seconds), 0);
  }

  async #metrics(): Promise<string> {
    const { name, version, net, counters } = this.#monitored;
    const readings = await net.readings();
    return formatMetrics([
      metricBy("wgd_build_info", "gauge", "Version of wgd.", "version", [[version, 1]]),
      ...metricsOfPeers(name, readings.state.peers),
      ...engineMetrics(readings),
      ...proxyMetrics(counters()),
    ]);
  }
}

function engineMetrics(
  { diagnostics: { drops, queues }, connections, bufferedBytes, hostDrops }: Readings,
): Metric[] {
  const queue = (name: string, help: string, value: "length" | "bound"): Metric => ({
    name,
    type: "gauge",
    help,
    samples: queues.map((queue) => ({
      labels: { queue: queue.queue, unit: queue.unit },
      value: queue[value],
    })),
  });
  return [
    metricBy("wgd_drops_total", "counter", "Packets and messages dropped, by reason.", "reason", [
      ...Object.entries(drops),
      ...Object.entries(hostDrops).map(([reason, count]) => [`host.${reason}`, count] as const),
    ]),
    queue("wgd_queue_length", "Current length of a queue.", "length"),
    queue("wgd_queue_bound", "Maximum length of a queue.", "bound"),
    one("wgd_tcp_connections", "gauge", "TCP connections that end in this process.", connections),
    one("wgd_tcp_buffered_bytes", "gauge", "Bytes in the buffers of these connections.", bufferedBytes),
  ];
}

function proxyMetrics(counters: ProxyCounters): Metric[] {
  const kinds = Object.entries(counters.connections);
  return [
    metricBy(
      "wgd_proxy_connections_total",
      "counter",
      "Connections accepted, by kind.",
      "kind",
      kinds.map(([kind, { accepted }]) => [kind, accepted] as const),
    ),
    metricBy(
      "wgd_proxy_connections",
      "gauge",
      "Connections that are open, by kind.",
      "kind",
      kinds.map(([kind, { open }]) => [kind, open] as const),
    ),
    metricBy(
      "wgd_proxy_refused_total",
      "counter",
      "Connections that failed, by reason.",
      "reason",
      Object.entries(counters.refused),
    ),
    one("wgd_proxy_half_open", "gauge", "Programs that are not connected yet.", counters.halfOpen),
    one(
      "wgd_proxy_hung_up_total",
      "counter",
      "Programs that were disconnected because they took too long or were too many.",
      counters.hungUp,
    ),
    one(
      "wgd_proxy_udp_associations",
      "gauge",
      "Programs that use UDP through SOCKS5.",
      counters.associations,
    ),
    one("wgd_proxy_udp_flows", "gauge", "Programs that use a UDP forward.", counters.udpFlows),
  ];
}

function one(name: string, type: Metric["type"], help: string, value: number): Metric {
  return { name, type, help, samples: [{ value }] };
}
