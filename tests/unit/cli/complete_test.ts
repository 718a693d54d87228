import { deepEqual, equal } from "node:assert/strict";
import { complete, type Files } from "../../../cli/completions/complete.ts";
import { grammars } from "../../../cli/grammar.ts";
import type { Source } from "../../../cli/grammar_types.ts";

const FOUND: Partial<Record<Source, string[]>> = {
  interface: ["wg0", "wg1"],
  saved: ["home"],
  peer: ["KEY="],
  page: ["quick", "config"],
};

/** The proposals after some words. The last word is being typed. */
async function proposed(
  line: string,
): Promise<{ words: string[]; files: Files; asked: (readonly string[])[] }> {
  const asked: (readonly string[])[] = [];
  const { proposals, files } = await complete(line.split(" "), {
    commands: { run: "", quick: "", show: "" },
    grammar: (name) => grammars[name],
    find: (source, words) => {
      if (source === "peer") asked.push(words);
      return Promise.resolve((FOUND[source] ?? []).map((word) => ({ word, summary: "" })));
    },
  });
  return { words: proposals.map(({ word }) => word), files, asked };
}

Deno.test("complete() proposes what the grammar has at each place", async () => {
  const cases: [line: string, words: string[], files?: Files][] = [
    ["", ["run", "quick", "show"]],
    ["-", ["run", "quick", "show", "--help", "--version"]],
    ["nonsense ", []],
    ["quick ", ["up", "down", "reload", "save", "strip", "check", "watch", "status"]],
    ["quick nonsense ", []],
    ["quick up ", ["home"], "config"],
    ["quick up -", ["--dry-run", "--interface", "--backend", "--lanes"]],
    ["quick up --dry-run ", ["home"], "config"],
    ["quick up --dry-run -", ["--interface", "--backend", "--lanes"]],
    ["quick up --interface ", []],
    ["quick up --interface x ", ["home"], "config"],
    ["quick up --backend ", ["auto", "kernel", "wgd"]],
    ["quick up --backend wgd ", ["home"], "config"],
    ["quick reload -", ["--dry-run", "--interface"]],
    ["quick down ", ["wg0", "wg1"], "config"],
    ["quick up home ", []],
    ["quick status --", ["--json"]],
    ["run -", ["--foreground", "--disable", "--lanes"]],
    ["run -f -", ["--disable", "--lanes"]],
    ["run --lanes ", ["0", "1", "2", "3", "auto"]],
    ["run --disable ", ["tun-tcp", "tun-udp", "udp-gso", "udp-gro", "wide"]],
    ["show ", ["all", "interfaces", "wg0", "wg1"]],
    ["show wg0 --json -", ["--secrets", "--watch", "--names", "--verbose"]],
    ["setconf ", ["wg0", "wg1"]],
    ["setconf wg0 ", [], "file"],
    ["set wg0 ", ["listen-port", "fwmark", "private-key", "peer"]],
    ["set wg0 listen-port ", []],
    ["set wg0 listen-port 1 fwmark ", ["off"]],
    ["set wg0 private-key ", [], "file"],
    ["set wg0 peer ", ["KEY="]],
    ["set wg0 peer peer ", [
      "remove",
      "preshared-key",
      "endpoint",
      "persistent-keepalive",
      "allowed-ips",
      "peer",
    ]],
    ["set wg0 peer K remove peer ", ["KEY="]],
    ["set wg0 peer K endpoint h:1 preshared-key ", [], "file"],
    ["set wg0 nonsense ", []],
    ["peer show ", ["home"]],
    ["peer remove home ", ["KEY="]],
    ["peer add home Anna --output ", [], "file"],
    ["peer add home --output file ", []],
    ["peer add home Anna --output file --no", [
      "--address",
      "--allowed-ips",
      "--dns",
      "--endpoint",
      "--no-preshared-key",
      "--data",
      "--database",
    ]],
    ["qr ", ["home"], "config"],
    ["qr home --svg ", [], "file"],
    ["install --root ", [], "folder"],
    ["completions ", ["bash", "zsh", "fish"]],
    ["help ", ["quick", "config"]],
    ["genkey ", []],
    ["constructor ", []],
    ["quick toString ", []],
  ];
  for (const [line, words, files = "none"] of cases) {
    const found = await proposed(line);
    deepEqual(found.words, words, line);
    equal(found.files, files, line);
  }
});

Deno.test("complete() returns which interface's peers to complete", async () => {
  deepEqual((await proposed("set wg1 peer ")).asked, [["wg1", "peer"]]);
  deepEqual((await proposed("peer show wg1 ")).asked, [["show", "wg1"]]);
});
