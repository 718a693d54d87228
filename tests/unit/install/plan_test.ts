import { deepEqual, equal, match, throws } from "node:assert/strict";
import {
  InstallError,
  installFiles,
  installLinks,
  installWeb,
  unitPath,
} from "../../../core/install/plan.ts";

const PARTS = {
  completions: { bash: "for bash", zsh: "for zsh", fish: "for fish" },
  manual: [{ file: "wgd.8", section: 8, roff: ".TH WGD 8" }, {
    file: "wgd-x.7",
    section: 7,
    roff: ".TH X 7",
  }],
};

Deno.test("installFiles() puts each part where the system looks for it", () => {
  const files = installFiles("/usr", PARTS);
  deepEqual(files.map(({ path }) => path), [
    "/usr/bin/wgd",
    "/usr/lib/systemd/system/wgd-quick@.service",
    "/usr/lib/systemd/system/wgd-quick.target",
    "/usr/lib/systemd/user/wgd-proxy@.service",
    "/usr/share/bash-completion/completions/wgd",
    "/usr/share/zsh/site-functions/_wgd",
    "/usr/share/fish/vendor_completions.d/wgd.fish",
    "/usr/share/man/man8/wgd.8",
    "/usr/share/man/man7/wgd-x.7",
  ]);
  equal(files[0]!.content.kind, "program");
});

Deno.test("the unit runs the program of its prefix for start, stop and reload", () => {
  const { content } = installFiles("/opt/wgd", PARTS)[1]!;
  const text = content.kind === "text" ? content.text : "";
  deepEqual(text.match(/^Exec.*$/gm), [
    "ExecStart=/opt/wgd/bin/wgd quick up %i",
    "ExecReload=/opt/wgd/bin/wgd quick reload %i",
    "ExecStop=/opt/wgd/bin/wgd quick down %i",
  ]);
  equal(text.includes("/usr/local"), false);
});

Deno.test("--user installs only the unit of proxies, where the user's systemd looks", () => {
  const files = installFiles("/home/anna/.local", PARTS, true);
  const units = files.filter(({ path }) => path.includes("/systemd/"));
  deepEqual(units.map(({ path }) => path), ["/home/anna/.local/share/systemd/user/wgd-proxy@.service"]);
  const { content } = units[0]!;
  match(
    content.kind === "text" ? content.text : "",
    /^ExecStart=\/home\/anna\/\.local\/bin\/wgd proxy %E\/wgd\/%i\.conf$/m,
  );
});

Deno.test("installLinks() links wg and wg-quick to the program beside them", () => {
  const [wg, wgQuick, unit] = installLinks("/usr");
  deepEqual([wg?.path, wg?.content], ["/usr/bin/wg", { kind: "link", to: "wgd" }]);
  deepEqual([wgQuick?.path, wgQuick?.content], ["/usr/bin/wg-quick", { kind: "link", to: "wgd" }]);
  const own = installFiles("/usr", PARTS).find(({ path }) => path === unitPath("/usr"));
  deepEqual([unit?.path, unit?.content], [unitPath("/usr", "wg-quick"), own?.content]);
});

Deno.test("installWeb() makes services of the program's prefix, and describes the user of the one that is not root", () => {
  const [user, keeper, web] = installWeb("/usr").map(({ path, content }) => ({
    path,
    text: content.kind === "text" ? content.text : "",
  }));
  deepEqual([user?.path, keeper?.path, web?.path], [
    "/usr/lib/sysusers.d/wgd.conf",
    "/usr/lib/systemd/system/wgd-keeper.service",
    "/usr/lib/systemd/system/wgd-web.service",
  ]);
  match(user!.text, /^u wgd - /m);
  match(keeper!.text, /^ExecStart=\/usr\/bin\/wgd keeper$/m);
  match(web!.text, /^ExecStart=\/usr\/bin\/wgd web$/m);
  match(web!.text, /^User=wgd$/m);
});

Deno.test("a prefix with characters that a unit cannot contain is refused", () => {
  for (const prefix of ["", "/", "local", "/with space", "/a%b", '/a"b', "/a/../b", "/a/", "/a\nb"]) {
    throws(() => installFiles(prefix, PARTS), InstallError, prefix);
  }
});
