/**
 * Serves metrics on a separate listener, because they need no sign-in.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import type { ConnectionLimits } from "./connection_limits.ts";
import type { Context } from "./context.ts";
import type { ListenAddress } from "./listening.ts";
import { RunningServer } from "./running_server.ts";
import type { Store } from "./store/store.ts";
import { asStream } from "./unread_body.ts";

/** The text format of Prometheus, version 0.0.4. */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The number of responses, by the first digit of their status. */
export class RequestCount {
  readonly #counts = new Map<string, number>();

  /** Counts a response. */
  add(status: number): void {
    const kind = `${Math.floor(status / 100)}xx`;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  /** Returns each class of statuses with its count. */
  entries(): [string, number][] {
    return [...this.#counts].sort();
  }
}

/**
 * Serves `/metrics` and `/healthz`.
 *
 * @param pageProblem Why nobody can connect to the page.
 * @throws {ListenError} If it cannot listen.
 */
export function serveMetrics(
  context: Pick<Context, "store" | "keeper" | "peers" | "certificate" | "clock" | "log">,
  requests: RequestCount,
  listen: ListenAddress,
  pageProblem: () => string | undefined,
  limits?: ConnectionLimits,
): RunningServer {
  const onError = (error: unknown) => {
    context.log(String(error));
    return new Response("something went wrong\n", { status: 500 });
  };
  const handle = async ({ url, method }: Request) => {
    if (method !== "GET" && method !== "HEAD") return new Response(null, { status: 405 });
    switch (new URL(url).pathname) {
      case "/metrics":
        return new Response(await metrics(context, requests), { headers: { "content-type": CONTENT_TYPE } });
      case "/healthz":
        return await health(context, pageProblem());
      default:
        return new Response("see /metrics and /healthz\n", { status: 404 });
    }
  };
  const limited = async (
    request: Request,
    { remoteAddr, completed }: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ) => {
    if (limits && !limits.used(remoteAddr, completed)) return new Response(null, { status: 503 });
    return asStream(await handle(request));
  };
  const server = new RunningServer(
    listen,
    (signal) => Deno.serve({ ...listen, signal, onListen: () => {}, onError }, limited),
    context.log,
  );
  limits?.start(server.address.port);
  return server;
}

/** The server is healthy if it can use the store, reaches the keeper, and can be reached itself. */
async function health(
  { store, keeper, peers, certificate, clock }: Pick<
    Context,
    "store" | "keeper" | "peers" | "certificate" | "clock"
  >,
  pageProblem: string | undefined,
): Promise<Response> {
  const results = await Promise.allSettled([checkStore(store, clock()), keeper.ask("networks", {})]);
  const parts = ["the store", "the keeper"];
  const ill = results.flatMap(({ status }, at) => status === "rejected" ? [parts[at]] : []);
  const problems = [
    ...(ill.length > 0 ? [`does not work: ${ill.join(", ")}`] : []),
    ...(pageProblem !== undefined ? [`the page cannot be reached: ${pageProblem}`] : []),
    // Until the certificate expires this is only a warning, because a restart would not help.
    ...(certificate?.problem !== undefined && certificate.expiresAt <= clock()
      ? [`the certificate has expired and could not be renewed: ${certificate.problem}`]
      : []),
  ];
  if (problems.length > 0) return new Response(`${problems.join("\n")}\n`, { status: 503 });
  const warnings = [
    ...(certificate?.problem === undefined
      ? []
      : [`the certificate could not be renewed: ${certificate.problem}`]),
    // Only a warning, because a restart would begin the comparison again.
    ...(peers.isSettled ? [] : ["the interfaces do not have all devices yet"]),
    ...peers.routes.all().map(({ interface: name, network, cause }) =>
      `${network} cannot be routed to ${name}: ${cause}`
    ),
  ];
  return new Response(warnings.length === 0 ? "ok\n" : warnings.map((text) => `ok, but ${text}\n`).join(""));
}

/**
 * Reads something. If a change has failed, only another change tells whether the store works again; usually there is none,
 * because it would wait for other processes that change the store.
 */
async function checkStore({ database, settings }: Store, now: number): Promise<void> {
  if (database.changesFail) {
    await settings.set("healthz", `${now}`);
    database.changesFail = false;
  } else {
    await settings.get("healthz");
  }
}

async function metrics(
  { store, peers, certificate, clock }: Pick<Context, "store" | "peers" | "certificate" | "clock">,
  requests: RequestCount,
): Promise<string> {
  const summaries = await store.devices.summaries(clock());
  const metric = (name: string, type: "gauge" | "counter", help: string, lines: readonly string[]) =>
    [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines.map((line) => `${name}${line}`), ""].join(
      "\n",
    );
  const ofNetworks = (value: (summary: typeof summaries[number]) => number) =>
    summaries.map((summary) => `{network="${escape(summary.network)}"} ${value(summary)}`);
  return [
    metric("wgd_build_info", "gauge", "The version of wgd.", [`{version="${config.version}"} 1`]),
    metric(
      "wgd_devices",
      "gauge",
      "Devices by network and state.",
      summaries.flatMap(({ network, states }) =>
        Object.entries(states).map(([state, count]) =>
          `{network="${escape(network)}",state="${state}"} ${count}`
        )
      ),
    ),
    metric(
      "wgd_received_bytes_total",
      "counter",
      "Bytes received from devices.",
      ofNetworks(({ rxBytes }) => rxBytes),
    ),
    metric("wgd_sent_bytes_total", "counter", "Bytes sent to devices.", ofNetworks(({ txBytes }) => txBytes)),
    metric(
      "wgd_http_responses_total",
      "counter",
      "Responses of the page and the API, by class of status.",
      requests.entries().map(([kind, count]) => `{status="${kind}"} ${count}`),
    ),
    metric("wgd_settled", "gauge", "1 if the interfaces have all devices of the store.", [
      ` ${peers.isSettled ? 1 : 0}`,
    ]),
    certificate
      ? metric("wgd_certificate_expiry_timestamp_seconds", "gauge", "When the page's certificate expires.", [
        ` ${Math.floor(certificate.expiresAt / 1_000)}`,
      ])
      : "",
    metric("process_resident_memory_bytes", "gauge", "Memory of the web process.", [
      ` ${Deno.memoryUsage().rss}`,
    ]),
  ].join("");
}

/** A label's value (Prometheus, exposition formats). */
function escape(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n");
}
