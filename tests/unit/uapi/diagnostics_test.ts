import { deepEqual, equal, throws } from "node:assert/strict";
import { type Diagnostics, formatDiagnostics, parseDiagnostics } from "../../../core/uapi/diagnostics.ts";
import { formatGet, parseGet } from "../../../core/uapi/get.ts";
import { UapiError } from "../../../core/uapi/lines.ts";

const DIAGNOSTICS: Diagnostics = {
  features: [
    { feature: "tun-tcp", on: true, why: "" },
    { feature: "udp-gso", on: true, why: "a route over IPv4 refused a train (EIO); datagrams go singly now" },
    { feature: "wide", on: false, why: "switched off" },
  ],
  drops: { "packet.noPeer": 0, "protocol.badMac1": 2 ** 52 },
  queues: [{ queue: "handshakes", length: 3, bound: 4096, unit: "messages" }],
};
const STATE = { listenPort: 5, fwmark: 0, peers: [] };

Deno.test("diagnostics are read as they were written, and do not change the state", () => {
  const reply = formatDiagnostics(DIAGNOSTICS) + [...formatGet(STATE)].join("");
  deepEqual(parseDiagnostics(reply), DIAGNOSTICS);
  deepEqual(parseGet(reply), STATE);
});

Deno.test("a reply without diagnostics has none", () => {
  equal(parseDiagnostics([...formatGet(STATE)].join("")), undefined);
  equal(parseDiagnostics("errno=22\n\n"), undefined);
  equal(parseDiagnostics(""), undefined);
});

Deno.test("invalid diagnostics are an error, and unknown ones are ignored", () => {
  for (const line of ["wgd_drop=x", "wgd_drop=x y", "wgd_queue=a 1", "wgd_queue=a -1 2 m"]) {
    throws(() => parseDiagnostics(`wgd_feature=wide on\n${line}\nerrno=0\n\n`), UapiError, line);
  }
  const later = "wgd_feature=wide on\nwgd_weather=fair\nwgd_feature=new maybe\nerrno=0\n\n";
  deepEqual(parseDiagnostics(later)!.features, [{ feature: "wide", on: true, why: "" }]);
});
