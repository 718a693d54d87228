/**
 * `wgd exec`: programs in a separate network, as nobody and as root, with a server behind the tunnel.
 *
 * @module
 */

import { deepEqual, doesNotMatch, equal, match, notEqual } from "node:assert/strict";
import { eventually, sleep } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { CONFIG, NamedServer, nameServer, NOBODY, serve } from "./lab/named_server.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand, wgdCommandAs } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const V4 = "10.8.0.1";
const V6 = "[fd08::1]";
const NEEDS = { programs: ["curl", "dnsmasq"] };

/** A user, and a server behind a tunnel with web pages and names. */
class Scene implements AsyncDisposable {
  private constructor(readonly named: NamedServer, readonly command: readonly string[]) {}

  static async create(): Promise<Scene> {
    await using made = new AsyncDisposableStack();
    const named = made.use(
      await NamedServer.create({
        quick: ["DNS = intranet", "PostUp = touch /run/lab/hook", "Table = 77"],
        // The narrow network already has a route because of the address.
        allowedIps: ["0.0.0.0/0", "::/0", "10.8.0.0/24"],
      }),
    );
    await named.giveToNobody();
    const { user, server } = named;
    // The mode of the device on most systems.
    await user.sh(
      "mknod -m 666 /run/lab/tun c 10 200; touch /dev/net/tun; mount --bind /run/lab/tun /dev/net/tun",
    );
    await user.ownEtc("nameserver 192.0.2.53\n");
    await serve(server, "web_server.ts", "::");
    await nameServer(server, "web.intranet");
    const command = await wgdCommandAs(NOBODY, user);
    made.move();
    return new Scene(named, [...command, "exec", CONFIG, "--"]);
  }

  get user(): Host {
    return this.named.user;
  }

  /** Runs a program inside. */
  inside(...program: string[]): ReturnType<Host["run"]> {
    return this.user.run([...this.command, ...program]);
  }

  /** Our remains on the host: processes and interfaces. */
  async traces(): Promise<string> {
    return await this.user.sh(
      "ls /sys/class/net; ps -eo args | grep -E 'sleep|nsenter|unshare|/wgd|exec' | grep -v grep || true",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.named[Symbol.asyncDispose]();
  }
}

const curl = ["curl", "--silent", "--show-error", "--max-time", "20"];
const hello = (text: string) => text.startsWith("hello ");

await rootTest("a program of nobody in a network of its own", NEEDS, async (test) => {
  await using scene = await Scene.create();
  const { user } = scene;
  const before = await scene.traces();
  for (const as of ["nobody", "root"] as const) {
    const run = (...program: string[]) =>
      user.run([
        ...["env", "--chdir=/usr/share"],
        ...as === "nobody" ? scene.command : [...wgd, "exec", CONFIG, "--"],
        ...program,
      ]);
    await test.step(`as ${as}: pages by address, over IPv6 and by name`, async () => {
      for (const place of [V4, V6, "web.intranet", "web"]) {
        const { code, stdout, stderr } = await run(...curl, `http://${place}/`);
        deepEqual([code, hello(stdout)], [0, true], stderr);
      }
    });
    await test.step(`as ${as}: the same user, in the same folder, with the tunnel alone`, async () => {
      const { stdout, stderr } = await run(
        "sh",
        "-c",
        "id -u; pwd; ip -brief link | cut -d' ' -f1; ip route; cat /etc/resolv.conf; ls /run/lab/hook 2>&1; env",
      );
      const [uid, folder, ...rest] = stdout.split("\n");
      equal(uid, as === "nobody" ? String(NOBODY) : "0");
      equal(folder, "/usr/share");
      match(rest.join("\n"), /^lo\nclient\ndefault dev client scope link\s*\n10\.8\.0\.0\/24 dev client/);
      match(stdout, /\nnameserver 10\.8\.0\.1\nsearch intranet\n/);
      match(stdout, /cannot access '\/run\/lab\/hook'/);
      equal(/WGD_SELF|WGD_ARGV0|DENO_NO_UPDATE/.exec(stdout), null);
      match(stderr, /client\.conf: PostUp has no effect in wgd exec\n/);
      match(stderr, /client\.conf: Table has no effect in wgd exec\n/);
    });
    await test.step(`as ${as}: exit codes, standard input, and no capability for a user`, async () => {
      const seven = await run("sh", "-c", "exit 7");
      deepEqual([seven.code, seven.stderr.match(/^(?!Warning: ).+/gm)], [7, null]);
      equal((await run("sh", "-c", "kill -KILL $$")).code, 137);
      const missing = await run("no-such-program");
      deepEqual([missing.code, missing.stderr], [127, "wgd: no-such-program: command not found\n"]);
      const words = as === "nobody" ? [...scene.command, "cat"] : [...wgd, "exec", CONFIG, "cat"];
      equal((await user.run(words, { stdin: "through\n" })).stdout, "through\n");
      const { stdout } = await run("grep", "CapEff", "/proc/self/status");
      equal(/0{16}$/.test(stdout.trim()), as === "nobody");
    });
  }
  equal(await scene.traces(), before);
  equal(await user.sh("cat /etc/resolv.conf"), "nameserver 192.0.2.53\n");
});

await rootTest("signals reach the program, and nothing outlives it", NEEDS, async (test) => {
  await using scene = await Scene.create();
  const { user } = scene;
  const before = await scene.traces();
  const start = async (script: string) => {
    const process = await user.start([
      ...scene.command,
      "sh",
      "-c",
      `${script}; echo begun; while :; do sleep 0.05; done`,
    ]);
    await eventually("the program", () => process.output().includes("begun"));
    return process;
  };
  for (
    const [signal, code] of [["TERM", 143], ["INT", 130], ["HUP", 129], ["QUIT", 131], ["USR1", 138]] as const
  ) {
    await test.step(`${signal} ends it as it would end the program without wgd`, async () => {
      const process = await start(":");
      await process.signal(signal);
      equal((await process.ended).code, code, process.output());
    });
  }
  await test.step("a program that handles a signal continues", async () => {
    const process = await start("trap 'echo caught' USR1; trap 'exit 9' TERM");
    await process.signal("USR1");
    await eventually("the handler", () => process.output().includes("caught"));
    await process.signal("TERM");
    equal((await process.ended).code, 9);
  });
  for (const orphaned of [false, true]) {
    const rule = orphaned
      ? "it goes on with the program in an orphaned process group"
      : "it stops and continues with the program";
    await test.step(rule, async () => {
      // With job control it is in a group whose leader has a parent in the session. `setsid` makes one that has none.
      const shell = await user.start([
        ...[
          "bash",
          "-c",
          `${orphaned ? "" : "set -m; "}trap : TERM; "$@" & echo "pid $!"; wait -f $!; echo "code $?"`,
          "bash",
        ],
        ...orphaned ? ["setsid"] : [],
        ...[...scene.command, "sh", "-c", "exec sleep 1000"],
      ]);
      const pid = Number((await eventually("wgd", () => /pid (\d+)/.exec(shell.output())))[1]);
      const states = () => user.sh(`for p in ${pid} $(pgrep -P ${pid}); do ps -o stat=,comm= -p $p; done`);
      const stopped = async () => (await states()).match(/^T/gm)?.length ?? 0;
      await eventually("the program", async () => /sleep$/m.test(await states()));
      await user.ok("kill", "-s", "TSTP", String(pid));
      if (orphaned) {
        await sleep(300);
        equal(await stopped(), 0);
      } else {
        await eventually("both to stop", async () => await stopped() === 2);
        await user.ok("kill", "-s", "CONT", String(pid));
        await eventually("both to go on", async () => await stopped() === 0);
      }
      await user.ok("kill", "-s", "TERM", String(pid));
      await eventually("the end", () => /code 143/.test(shell.output()));
      await shell.ended;
    });
  }
  await test.step("Ctrl-C on a terminal reaches it once, and wgd waits for it", async () => {
    const script = "n=0; trap 'n=$((n+1))' INT; trap 'echo caught $n; exit 5' USR1; echo begun $PPID; " +
      "while :; do sleep 0.05; [ $n = 0 ] || echo key; done";
    // The terminal's keys come from a pipe that we write to. `script` starts $SHELL, and one that waits gets Ctrl-C too: dash
    // then ends with 130, whatever the code of its program. With `exec` no shell waits.
    const process = await user.start([
      ...["sh", "-c", 'mkfifo /run/lab/keys; script -qec "$1" /dev/null <>/run/lab/keys', "sh"],
      ["exec", ...scene.command, "sh", "-c", `"${script.replaceAll("$", "\\$")}"`].join(" "),
    ]);
    const pid = (await eventually("the program", () => /begun (\d+)/.exec(process.output())))[1]!;
    await user.sh("printf '\\003' > /run/lab/keys");
    await eventually("the handler", () => process.output().includes("key"));
    // wgd has already handled Ctrl-C for the program when it passes this signal on.
    await user.ok("kill", "-s", "USR1", pid);
    const { code } = await process.ended;
    deepEqual([code, /caught (\d)/.exec(process.output())?.[1]], [5, "1"], process.output());
  });
  await test.step("signals after its end do not change its exit code", async () => {
    const script = "trap '' TERM; (while kill $PPID; do :; done 2>/dev/null) & sleep 0.1; exit 5";
    const { code, stderr } = await scene.inside("sh", "-c", script);
    equal(code, 5, stderr);
  });
  await test.step("wgd show reaches it, and its socket is deleted with it", async () => {
    await user.sh(`mkdir -m 700 /run/lab/xdg; chown ${NOBODY} /run/lab/xdg`);
    const env = { XDG_RUNTIME_DIR: "/run/lab/xdg" };
    const process = await user.start([...scene.command, "sh", "-c", "echo begun; exec sleep 1000"], { env });
    await eventually("the program", () => process.output().includes("begun"));
    const show = [...scene.command.slice(0, -3), "show"];
    match(
      (await user.run([...show, "client"], { env })).stdout,
      /^interface: client\n[^]*endpoint: 192\.0\.2\.1:51820\n/,
    );
    equal((await user.run([...show, "interfaces"], { env })).stdout, "client\n");
    await process.signal("TERM");
    await process.ended;
    equal(await user.sh("ls /run/lab/xdg/wgd"), "");
  });
  await test.step("settings of the environment for the tunnel's process apply, and wrong ones are named", async () => {
    const env = { XDG_RUNTIME_DIR: "/run/lab/xdg", WGD_DISABLE: "udp-gso", WGD_LANES: "0" };
    const process = await user.start([...scene.command, "sh", "-c", "echo begun; exec sleep 1000"], { env });
    await eventually("the program", () => process.output().includes("begun"));
    const show = [...scene.command.slice(0, -3), "show", "client", "--verbose"];
    const { stdout } = await user.run(show, { env });
    match(stdout, /^ +udp-gso: off/m);
    doesNotMatch(stdout, /lanes at work/);
    await process.signal("TERM");
    await process.ended;
    const wrong = await user.run([...scene.command, "true"], { env: { WGD_LANES: "many" } });
    equal(wrong.code, 1);
    match(wrong.stderr, /WGD_LANES: "many" is not a number of lanes\nhint: /);
  });
  await test.step("kill -9 of wgd kills the program, and of the program ends wgd", async () => {
    const one = await start(":");
    await one.signal("KILL");
    await one.ended;
    await eventually("no trace", async () => await scene.traces() === before);
    const other = await start("echo pid $$");
    await user.ok("kill", "-s", "KILL", /pid (\d+)/.exec(other.output())![1]!);
    equal((await other.ended).code, 137);
  });
  await eventually("no trace", async () => await scene.traces() === before);
});

await rootTest("--forward leads to what listens inside", NEEDS, async () => {
  await using scene = await Scene.create();
  const { user } = scene;
  const server = `Deno.serve({ hostname: '127.0.0.1', port: 8080 }, () => new Response('mine'))`;
  await Deno.copyFile(Deno.execPath(), user.path("/run/lab/deno"));
  await user.sh("chmod 755 /run/lab/deno");
  const [before, after] = [scene.command.slice(0, -1), ["/run/lab/deno", "eval", "--no-config", server]];
  const process = await user.start([
    ...before,
    ...["--forward", "8081=127.0.0.1:8080", "--forward=[::1]:8082=localhost:8080", "--"],
    ...["env", "DENO_DIR=/run/lab/user-65534/deno", ...after],
  ]);
  for (const place of ["127.0.0.1:8081", "[::1]:8082"]) {
    const { stdout } = await eventually("the server inside", async () => {
      const finished = await user.run([...curl, `http://${place}/`]);
      return finished.code === 0 ? finished : undefined;
    });
    equal(stdout, "mine", process.output());
  }
  const taken = await user.run([...before, "--forward", "8081=127.0.0.1:1", "--", "true"]);
  deepEqual([taken.code, /another program uses this port/.test(taken.stderr)], [1, true]);
  notEqual((await user.run([...curl, "http://127.0.0.1:8080/"])).code, 0);
  await process.signal("TERM");
  equal((await process.ended).code, 143);
  await eventually(
    "the port to be free",
    async () => (await user.run([...curl, "http://127.0.0.1:8081/"])).code === 7,
  );
  // The exit code is the program's, regardless of the process that serves the ports.
  const other = await user.start([
    ...before,
    ...["--forward", "8081=127.0.0.1:1", "--", "sh", "-c", "echo begun; exec sleep 1000"],
  ]);
  await eventually("the program", () => other.output().includes("begun"));
  const serving = async () => await user.sh(`pgrep -P ${other.pid} -f ' exec$' || true`);
  const helper = await eventually("the process that serves", async () => (await serving()).trim());
  await user.ok("kill", "-s", "KILL", helper);
  await eventually("its end", async () => await serving() === "");
  await other.signal("TERM");
  equal((await other.ended).code, 143, other.output());
});

await rootTest("where namespaces are forbidden it says what forbids them", NEEDS, async () => {
  await using scene = await Scene.create();
  const { user } = scene;
  const [user65534, rest] = [scene.command.slice(0, 4), scene.command.slice(4)];
  // The limit is that of a user namespace of nobody. The machine is not changed.
  const limited = await user.run([
    ...user65534,
    ...["unshare", "--user", "--map-current-user", "--keep-caps"],
    ...["sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"],
    ...rest,
    "true",
  ]);
  equal(limited.code, 1, limited.stderr);
  match(limited.stderr, /the sysctl user\.max_user_namespaces forbids it\n/);
  match(limited.stderr, /hint: .*sysctl -w user\.max_user_namespaces=/);
  match(
    limited.stderr,
    /hint: this works without namespaces: \S*wgd proxy \/run\/lab\/client\.conf --socks5 1080\n/,
  );
  await user.sh("chmod 600 /run/lab/tun");
  const closed = await scene.inside("true");
  equal(closed.code, 1);
  match(closed.stderr, /\/dev\/net\/tun cannot be opened.*\nhint: .*chmod 0666 \/dev\/net\/tun\n/);
  await user.sh("mount -t tmpfs none /dev/net");
  const missing = await scene.inside("true");
  equal(missing.code, 1);
  match(missing.stderr, /there is no \/dev\/net\/tun\nhint: .*--device \/dev\/net\/tun/);
});
