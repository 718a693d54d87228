import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { formatConfig, parseConfig } from "../../../core/config/format.ts";
import { configText } from "../../cli/arbitraries.ts";

const KEY = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";

Deno.test("formatConfig() writes what parseConfig() reads", () => {
  fc.assert(fc.property(configText(fc.constantFrom("example.com:5", "[fd00::1]:domain", "::1:7")), (text) => {
    let config;
    try {
      config = parseConfig(text);
    } catch {
      return;
    }
    const again = parseConfig(formatConfig(config));
    for (const peer of [...config.peers, ...again.peers]) {
      delete peer.endpointLine;
      delete peer.publicKeyLine;
      if (peer.endpoint) peer.endpoint = { ...peer.endpoint, text: "" };
      // Without a list, adding and replacing are the same.
      if (peer.allowedIps.length === 0) peer.replaceAllowedIps = true;
    }
    deepEqual(again, config);
  }));
});

Deno.test("formatConfig() keeps the keys of wg-quick", () => {
  const text = [
    "[Interface]",
    "Address = 10.0.0.2/24",
    "Address = fd00::2/64",
    "DNS = 1.1.1.1, example.com",
    "MTU = 1400",
    "Table = off",
    "SaveConfig = true",
    "PreUp = echo a # b",
    "PostUp = echo %i",
    "PreDown = x",
    "PostDown = y=z",
    "ListenPort = 5",
    "",
    "[Peer]",
    `PublicKey = ${KEY}`,
    "AllowedIPs = +10.0.0.0/8, -11.0.0.0/8",
    "Endpoint = [fd00::1]:5",
    "",
  ].join("\n");
  equal(formatConfig(parseConfig(text)), text);
});
