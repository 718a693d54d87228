import { deepEqual, equal, match } from "node:assert/strict";
import {
  endpointLoops,
  isOwnPeer,
  loopWarning,
  mtuPitfall,
  numericEndpoints,
  ownPeerError,
} from "../../../core/config/pitfalls.ts";
import { parseQuickConfig } from "../../../core/config/quick_config.ts";
import { parseWgConfig } from "../../../core/config/wg_config.ts";
import { formatPrefix } from "../../../core/config/prefix.ts";
import { publicKeyOf } from "../../../core/quick/own_key.ts";
import { publicKey } from "../../../core/public_key.ts";
import { generatePrivateKey } from "../../../core/keys.ts";

const KEY = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";

function read(text: string) {
  const { quick, wg, wgLines } = parseQuickConfig(text, { file: "a.conf" });
  return { quick, wg: parseWgConfig(wg, { file: "a.conf", lines: wgLines }) };
}

function file({ mtu = "", table = "", address = "10.0.0.2/24", allowed = "10.0.0.0/24", endpoint = "" }) {
  return read(
    `[Interface]\nAddress = ${address}\nMTU = ${mtu}\nTable = ${table}\n[Peer]\nPublicKey = ${KEY}\n` +
      `AllowedIPs = ${allowed}\n${endpoint === "" ? "" : `Endpoint = ${endpoint}\n`}`,
  );
}

Deno.test("mtuPitfall(): an MTU below 1280 is an error with routes of IPv6, a warning with addresses alone", () => {
  const kind = (parts: Parameters<typeof file>[0]) => {
    const { quick, wg } = file(parts);
    const { error, warning } = mtuPitfall(quick, wg, "a.conf");
    if (error) match(error.hint, /^a\.conf:3: MTU: found 1279, but IPv6 needs 1280/);
    if (warning) match(warning, /^a\.conf:3: MTU: found 1279, but IPv6 needs 1280/);
    return error ? "error" : warning ? "warning" : "fine";
  };
  const both = { address: "10.0.0.2/24, fd00::2/64", allowed: "10.0.0.0/24, fd00::/64" };
  equal(kind({ ...both, mtu: "1279" }), "error");
  equal(kind({ ...both, mtu: "1280" }), "fine");
  equal(kind(both), "fine");
  equal(kind({ mtu: "1279" }), "fine");
  equal(kind({ mtu: "1279", allowed: "::/0" }), "error");
  equal(kind({ mtu: "1279", allowed: "-fd00::/64" }), "fine");
  equal(kind({ mtu: "1279", address: both.address }), "warning");
  equal(kind({ ...both, mtu: "1279", table: "off" }), "warning");
  equal(kind({ ...both, mtu: "1279", table: "7" }), "error");
});

Deno.test("isOwnPeer() recognizes the interface's own key", async () => {
  const privateKey = generatePrivateKey();
  const own = await publicKeyOf(privateKey);
  deepEqual(own, publicKey(privateKey));
  deepEqual(await publicKeyOf(new Uint8Array(32).fill(0xff)), publicKey(new Uint8Array(32).fill(0xff)));
  equal(isOwnPeer({ publicKey: own }, own), true);
  equal(isOwnPeer({ publicKey: privateKey }, own), false);
  equal(isOwnPeer({ publicKey: own }, undefined), false);
  const { wg } = read(`[Interface]\n\n[Peer]\n\nPublicKey = ${KEY}\n`);
  match(
    ownPeerError(wg.peers[0]!, "a.conf").hint,
    /^a\.conf:5: PublicKey: found the interface's own key/,
  );
});

Deno.test("endpointLoops() finds an endpoint in AllowedIPs, except in a default route or with own routes", () => {
  const loops = (parts: Parameters<typeof file>[0]) => {
    const { quick, wg } = file(parts);
    return endpointLoops(quick, wg, numericEndpoints(wg)).map(({ network }) => formatPrefix(network));
  };
  const endpoint = "192.0.2.1:5";
  deepEqual(loops({ endpoint, allowed: "192.0.0.0/8, 192.0.2.0/24, 192.0.2.1/32" }), ["192.0.2.1/32"]);
  deepEqual(loops({ endpoint, allowed: "0.0.0.0/1, 128.0.0.0/1" }), ["128.0.0.0/1"]);
  deepEqual(loops({ endpoint, allowed: "0.0.0.0/0, 10.0.0.0/8" }), []);
  deepEqual(loops({ endpoint, allowed: "192.0.3.0/24, c000:200::/24" }), []);
  deepEqual(loops({ endpoint, allowed: "192.0.0.0/8", table: "off" }), []);
  deepEqual(loops({ endpoint, allowed: "192.0.0.0/8", table: "7" }), []);
  deepEqual(loops({ endpoint: "vpn.example:5", allowed: "192.0.0.0/8" }), []);
  deepEqual(loops({ endpoint: "[fd00::1]:5", allowed: "fd00::/8, ::/0" }), ["fd00::/8"]);
  const { quick, wg } = file({ endpoint, allowed: "192.0.0.0/8" });
  const [loop] = endpointLoops(quick, wg, numericEndpoints(wg));
  match(
    loopWarning(loop!, "a.conf", false),
    /^a\.conf:8: Endpoint: 192\.0\.2\.1 is in AllowedIPs \(192\.0\.0\.0\/8\)/,
  );
});

Deno.test("endpointLoops() does not compare all pairs of 20,000 peers with endpoints", () => {
  const peers = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 8}.${i & 255}`);
  const { quick, wg } = read(
    "[Interface]\n" +
      peers.map((net) => `[Peer]\nPublicKey = ${KEY}\nAllowedIPs = ${net}.0/24\nEndpoint = ${net}.1:5\n`)
        .join(""),
  );
  equal(endpointLoops(quick, wg, numericEndpoints(wg)).length, 20_000);
});
