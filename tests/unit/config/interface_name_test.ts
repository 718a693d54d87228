import { equal, match, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  adviseFileName,
  isPossibleName,
  nameOf,
  nameOfFile,
  whyNoName,
} from "../../../core/config/interface_name.ts";

Deno.test("nameOfFile() returns the file's name without .conf, if it is valid for an interface", () => {
  equal(nameOfFile("/etc/wireguard/wg0.conf"), "wg0");
  equal(nameOfFile("a=b+c.d-e_f.conf"), "a=b+c.d-e_f");
  equal(nameOfFile("wg0.conf.conf"), "wg0.conf");
  for (
    const path of ["wg0", "wg0.txt", ".conf", "...conf", "a b.conf", `${"x".repeat(16)}.conf`, "wg0.conf\n"]
  ) {
    equal(nameOfFile(path), undefined, path);
  }
  equal(nameOf("wg0"), "wg0");
  equal(nameOf("./wg0"), undefined);
});

Deno.test("adviseFileName() reports what is wrong with a name and suggests a valid one", () => {
  const cases: [string, RegExp][] = [
    [
      "provider-amsterdam-12.conf",
      /^"provider-amsterdam-12" has 21 characters, 6 too many .* to amsterdam-12\.conf,/,
    ],
    ["mullvad-wg-server-se-sto-wg-001.conf", /16 too many .* to se-sto-wg-001\.conf,/],
    ["abcdefghijklmnopqrst.conf", /5 too many .* to abcdefghijklmno\.conf,/],
    ["my vpn.conf", /^"my vpn" has " ", which is not allowed .* to my-vpn\.conf,/],
    ["büro.conf", /^"büro" has "ü", .* to b-ro\.conf,/],
    ["/etc/wireguard/wg0.txt", /^the name "wg0\.txt" does not end in "\.conf"; .* to wg0\.txt\.conf,/],
    [".conf", /^the name is empty; .* to wg0\.conf,/],
  ];
  for (const [path, advice] of cases) match(adviseFileName(path), advice);
  match(whyNoName(".."), /^"\.\." cannot be/);
});

Deno.test("adviseFileName() suggests a valid name for any file name", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (word) => {
    const [, offered] = /to (\S+)\.conf, or add the line/.exec(adviseFileName(`${word}.conf`))!;
    ok(isPossibleName(offered!), offered);
  }));
});
