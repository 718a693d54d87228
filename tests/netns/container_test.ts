/**
 * wgd in a container without any privileges.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { CONFIG, FOLDER, NamedServer, NOBODY, script, serve } from "./lab/named_server.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommandAs } from "./lab/tunnel.ts";

/** Makes all mounts read-only, and removes the devices except those that every container has. */
const READ_ONLY = `
  mount --make-rprivate /
  mkdir -p /run/dev; mount -t tmpfs -o mode=755 tmpfs /run/dev
  for device in null zero full random urandom tty; do cp -a /dev/$device /run/dev/; done
  mount --move /run/dev /dev
  for place in $(findmnt -rno TARGET | grep -vE '^/(proc|sys|dev)(/|$)'); do
    mount -o remount,bind,ro "$place" 2>/dev/null || true
  done
  mount -o remount,ro /dev
  exec "$@"`;

/** The command that runs a program in a container. */
function contained(words: readonly string[]): string[] {
  return [
    ...["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh"],
    ...[Deno.execPath(), "run", "--allow-all", "--no-check", "--quiet", script("container.ts"), ...words],
  ];
}

const curl = (user: Host, ...words: string[]) =>
  user.run(["curl", "--silent", "--show-error", "--max-time", "20", ...words]);

await rootTest("in a container without privileges, wgd proxy works, and wgd exec reports what forbids it", {
  programs: ["curl"],
}, async (test) => {
  await using scene = await NamedServer.create();
  const { user, server } = scene;
  await scene.giveToNobody();
  await serve(server, "web_server.ts");
  const wgd = (await wgdCommandAs(NOBODY, user)).slice(4);
  // As in an image: unpacked, if necessary.
  await user.ok(
    "setpriv",
    "--reuid",
    String(NOBODY),
    "--regid",
    String(NOBODY),
    "--clear-groups",
    ...wgd,
    "--version",
  );

  await test.step("it is such a container", async () => {
    const places = ["/", "/run", "/tmp", "/dev", FOLDER, `${FOLDER}/user-${NOBODY}`].join(" ");
    const { stdout } = await user.run(contained([
      "sh",
      "-c",
      `id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
       for place in ${places}; do touch $place/file 2>/dev/null && echo "$place can be written to"; done
       unshare -Ur true 2>&1; unshare -n true 2>&1; ls /dev/net 2>&1; true`,
    ]));
    deepEqual(stdout.trim().split("\n").map((line) => line.replace(/\s+/g, " ")), [
      String(NOBODY),
      "CapEff: 0000000000000000",
      "CapBnd: 0000000000000000",
      "NoNewPrivs: 1",
      "Seccomp: 2",
      "unshare: unshare failed: Operation not permitted",
      "unshare: unshare failed: Operation not permitted",
      "ls: cannot access '/dev/net': No such file or directory",
    ]);
  });
  await test.step("wgd proxy serves SOCKS5, HTTP and a forwarded port", async () => {
    const proxy = await user.start(
      contained([...wgd, "proxy", CONFIG, ...[
        "--socks5",
        "1080",
        "--http",
        "1081",
        "--forward",
        "1082=10.8.0.1:80",
      ]]),
    );
    await eventually("the proxy", async () => (await curl(user, "http://127.0.0.1:1082/")).code === 0, {
      within: 30_000,
    });
    for (const words of [["--proxy", "socks5h://127.0.0.1:1080"], ["--proxy", "http://127.0.0.1:1081"]]) {
      equal((await curl(user, ...words, "http://10.8.0.1/")).stdout, "hello 10.8.0.2");
    }
    await proxy.signal("TERM");
    equal((await proxy.ended).code, 143);
    equal(proxy.output(), "");
  });
  await test.step("wgd proxy --stdio connects", async () => {
    const { code, stdout, stderr } = await user.run(
      contained([...wgd, "proxy", CONFIG, "--stdio", "10.8.0.1:80"]),
      {
        stdin: "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n",
      },
    );
    deepEqual([code, stderr], [0, ""]);
    match(stdout, /hello 10\.8\.0\.2$/);
  });
  await test.step("wgd exec reports that the seccomp profile forbids it, and what works", async () => {
    const { code, stdout, stderr } = await user.run(contained([...wgd, "exec", CONFIG, "--", "true"]));
    deepEqual([code, stdout], [1, ""]);
    match(
      stderr,
      /^wgd: the namespaces cannot be made: the seccomp profile of this container or service forbids it$/m,
    );
    match(stderr, /^hint: .*--security-opt seccomp=FILE/m);
    match(stderr, /^hint: this works without namespaces: \S*wgd proxy \S+client\.conf --socks5 1080$/m);
  });
});
