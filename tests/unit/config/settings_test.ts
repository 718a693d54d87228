import { deepEqual } from "node:assert/strict";
import { resolveEndpoints } from "../../../core/config/settings.ts";

const peers = (text: string) => resolveEndpoints(text).peers;
const OFF = "# wgd: ResolveEndpoints = off\n";

Deno.test("ResolveEndpoints: on unless it is said; in [Interface] or above it, for the whole file", () => {
  deepEqual(peers("[Interface]\n[Peer]\n[Peer]\n"), [true, true]);
  deepEqual(peers(`${OFF}[Interface]\n[Peer]\n`), [false]);
  deepEqual(peers(`[Interface]\n${OFF}Address = 10.0.0.1\n[Peer]\n[ peer ] # Anna\n`), [false, false]);
});

Deno.test("ResolveEndpoints: in a [Peer] or directly above it, for that peer", () => {
  deepEqual(peers(`[Peer]\nPublicKey = x\n${OFF}\n[Peer]\n`), [false, true]);
  deepEqual(peers(`[Peer]\nPublicKey = x\n\n${OFF}# Name = Anna\n[Peer]\n`), [true, false]);
  deepEqual(peers(`[Peer]\n${OFF}`), [false]);
  deepEqual(peers(`${OFF}\n[Peer]\n[Peer]\n#WGD:resolveendpoints=ON\r\nPublicKey = x\n`), [false, true]);
});

Deno.test("ResolveEndpoints: neither on nor off is told and passed over", () => {
  deepEqual(resolveEndpoints("[Peer]\n# wgd: ResolveEndpoints = maybe\n"), {
    peers: [true],
    bad: [{ line: 2, value: "maybe" }],
  });
});
