import { deepEqual, equal, match } from "node:assert/strict";
import {
  aliveness,
  formatAnswer,
  formatMetrics,
  HealthRequest,
  metricBy,
  plainAnswer,
  readiness,
} from "../../../core/proxy/health.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

Deno.test("HealthRequest reads a request in any pieces", () => {
  const whole = "GET /readyz?verbose HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (let cut = 1; cut < whole.length; cut++) {
    const request = new HealthRequest();
    equal(request.push(bytes(whole.slice(0, cut))), undefined);
    deepEqual(request.push(bytes(whole.slice(cut))), { method: "GET", path: "/readyz" });
  }
  deepEqual(new HealthRequest().push(bytes("HEAD / HTTP/1.0\n\n")), { method: "HEAD", path: "/" });
  for (const bad of ["\0\r\n\r\n", "GET\r\n\r\n", "GET x HTTP/1.1\r\n\r\n", "GET / HTTP/2\r\n\r\n"]) {
    equal(new HealthRequest().push(bytes(bad)), "bad", bad);
  }
  equal(new HealthRequest().push(new Uint8Array(9_000)), "bad", "endless");
});

Deno.test("a tunnel is ready with a handshake in the last 180 seconds", () => {
  equal(readiness(1_000, 1_180).status, "200 OK");
  equal(readiness(1_000, 1_181).status, "503 Service Unavailable");
  equal(readiness(0, 100).status, "503 Service Unavailable");
  equal(readiness(1_000, 1_180).body, '{"latestHandshake":1000}\n');
});

Deno.test("with CheckAlive, a tunnel is ready when every host has answered in time", () => {
  const answered = new Map([["1.1.1.1", 1_000.4], ["3.3.3.3", 0]]);
  deepEqual(aliveness(answered, 5, 1_007).body, '{"1.1.1.1":1000,"3.3.3.3":0}\n');
  equal(aliveness(answered, 5, 1_007).status, "503 Service Unavailable");
  answered.set("3.3.3.3", 1_003);
  equal(aliveness(answered, 5, 1_007).status, "200 OK");
  equal(aliveness(answered, 5, 1_008).status, "503 Service Unavailable");
});

Deno.test("formatAnswer() ends the connection, and HEAD has no body", () => {
  const answer = plainAnswer("404 Not Found");
  match(
    text(formatAnswer(answer, "GET")),
    /^HTTP\/1\.1 404 Not Found\r\n[^]*Content-Length: 14\r\n[^]*\r\n\r\n404 Not Found\n$/,
  );
  match(text(formatAnswer(answer, "HEAD")), /Connection: close\r\n\r\n$/);
});

Deno.test("formatMetrics() writes valid Prometheus text for any labels", () => {
  equal(
    formatMetrics([
      metricBy("a_total", "counter", "Help.", "reason", [['b"c\\d\ne', 1], ["f", 2]]),
      { name: "g", type: "gauge", help: "Help.", samples: [{ value: 3 }] },
    ]),
    `# HELP a_total Help.
# TYPE a_total counter
a_total{reason="b\\"c\\\\d\\ne"} 1
a_total{reason="f"} 2
# HELP g Help.
# TYPE g gauge
g 3
`,
  );
});
