import { equal, match, ok } from "node:assert/strict";
import { HealthServer } from "../../../core/net/health_server.ts";
import { noConnections, type ProxyCounters } from "../../../core/net/proxy_counters.ts";
import type { HealthRules } from "../../../core/proxy/rules.ts";
import type { UserNet } from "../../../core/net/user_net.ts";
import { ANY_PORT, portsOf } from "./loopback.ts";
import { NetPair } from "./pair.ts";

const counters = (): ProxyCounters => ({
  ...noConnections(),
  halfOpen: 0,
  hungUp: 7,
  associations: 0,
  udpFlows: 0,
});

async function serve(net: UserNet, rules: Partial<HealthRules> = {}): Promise<[string, HealthServer]> {
  const monitored = { name: "client", version: "1.2.3", net, counters };
  const server = await HealthServer.start(monitored, { health: [ANY_PORT], ...rules }, () => {});
  return [`http://127.0.0.1:${portsOf(server.listening)[0]}`, server];
}

Deno.test("an idle tunnel is ready if its peer answers, and not ready otherwise", async () => {
  await using pair = await NetPair.up();
  const [url, server] = await serve(pair.near as UserNet);
  using _server = server;
  const ready = await fetch(`${url}/readyz`);
  equal(ready.status, 200, await ready.text());
  const metrics = await (await fetch(`${url}/metrics`)).text();
  match(metrics, /^wgd_build_info\{version="1\.2\.3"\} 1$/m);
  match(
    metrics,
    /^wireguard_sent_bytes_total\{interface="client",public_key=".{44}",allowed_ips="10\.9\.0\.2\/32,fd09::2\/128"\} [1-9]/m,
  );
  match(metrics, /^wireguard_latest_handshake_seconds\{.*\} 1\d{9}$/m);
  match(metrics, /^wgd_drops_total\{reason="protocol\.\w+"\} 0$/m);
  match(metrics, /^wgd_drops_total\{reason="host\.closedPort"\} 0$/m);
  match(metrics, /^wgd_proxy_hung_up_total 7$/m);
  for (
    const [path, method, status] of [["/", "GET", 404], ["/readyz", "POST", 405], [
      "/readyz",
      "HEAD",
      200,
    ]] as const
  ) {
    const response = await fetch(url + path, { method });
    equal(response.status, status, path);
    await response.text();
  }

  await using other = await NetPair.up();
  other.far.close();
  const [deadUrl, deadServer] = await serve(other.near as UserNet);
  using _dead = deadServer;
  const dead = await fetch(`${deadUrl}/readyz`);
  equal(dead.status, 503);
  equal(await dead.text(), '{"latestHandshake":0}\n');
});

Deno.test("with CheckAlive a tunnel is ready when its hosts answer pings", async () => {
  await using pair = await NetPair.up();
  for (const [addresses, status] of [[["10.9.0.2"], 200], [["10.9.0.2", "10.9.0.77"], 503]] as const) {
    const [url, server] = await serve(pair.near as UserNet, { alive: { addresses, interval: 1 } });
    using _server = server;
    let body = "";
    for (let i = 0; i < 50; i++) {
      const response = await fetch(`${url}/readyz`);
      body = await response.text();
      if (response.status === status && JSON.parse(body)["10.9.0.2"] > 0) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const answered = JSON.parse(body);
    ok(Date.now() / 1_000 - answered["10.9.0.2"] < 5, body);
    equal(answered["10.9.0.77"], status === 200 ? undefined : 0);
  }
});

Deno.test("silent programs do not block a health server for others", async () => {
  await using pair = await NetPair.up();
  const [url, server] = await serve(pair.near as UserNet);
  using _server = server;
  const port = Number(new URL(url).port);
  const silent = await Promise.all(
    Array.from({ length: 200 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  for (const conn of silent) await conn.write(new TextEncoder().encode("GET /"));
  const response = await fetch(`${url}/readyz`);
  equal(response.status, 200, await response.text());
  for (const conn of silent) conn.close();
});
