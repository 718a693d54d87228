import { deepEqual, equal, throws } from "node:assert/strict";
import { FeatureError, FEATURES, parseFeatures } from "../../../core/config/features.ts";
import { Features } from "../../../core/engine/features.ts";

Deno.test("parseFeatures() accepts a list with commas and refuses unknown names", () => {
  deepEqual(parseFeatures(""), []);
  deepEqual(parseFeatures(" udp-gso , wide,,"), ["udp-gso", "wide"]);
  deepEqual(parseFeatures(FEATURES.join()), [...FEATURES]);
  for (const text of ["udp", "UDP-GSO", "wide;udp-gso", "all"]) {
    throws(
      () => parseFeatures(text),
      (error) =>
        error instanceof FeatureError && error.message.includes(`"${text}"`) &&
        error.hint.includes("tun-tcp"),
    );
  }
});

Deno.test("Features keeps the first reason, reports each change once, and distinguishes on, off and partly off", () => {
  const said: string[] = [];
  const features = new Features(["udp-gro"], (message) => said.push(message));
  features.lack("udp-gro", "the kernel has none");
  features.lack("tun-udp", "the kernel has none");
  features.lack("tun-udp", "another reason");
  for (let i = 0; i < 3; i++) features.retreat("udp-gso", "refused");
  deepEqual(said, ["udp-gso: refused"]);
  equal(features.wanted("udp-gso"), true);
  equal(features.wanted("udp-gro"), false);
  deepEqual(features.states(), [
    { feature: "tun-tcp", on: true, why: "" },
    { feature: "tun-udp", on: false, why: "the kernel has none" },
    { feature: "udp-gso", on: true, why: "refused" },
    { feature: "udp-gro", on: false, why: "switched off" },
    { feature: "wide", on: true, why: "" },
  ]);
});
