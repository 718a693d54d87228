/**
 * `wgd proxy --stdio` beside other processes with the same tunnel. Two tunnels with one key would take each other's
 * packets, so there is one: the first process brings it up, and the others connect through it.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host, Process } from "./lab/host.ts";
import { CONFIG, FOLDER, NamedServer, NOBODY, serve } from "./lab/named_server.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommandAs } from "./lab/tunnel.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const ENV = { XDG_RUNTIME_DIR: `${FOLDER}/xdg` };

/** A user's machine, with a server behind the tunnel. */
class Scene implements AsyncDisposable {
  #stdios = 0;

  private constructor(readonly named: NamedServer, readonly command: readonly string[]) {}

  static async create(): Promise<Scene> {
    await using made = new AsyncDisposableStack();
    const named = made.use(await NamedServer.create());
    await named.giveToNobody();
    await named.user.sh(`mkdir -m 700 ${ENV.XDG_RUNTIME_DIR}; chown ${NOBODY} ${ENV.XDG_RUNTIME_DIR}`);
    await serve(named.server, "web_server.ts");
    const command = await wgdCommandAs(NOBODY, named.user);
    made.move();
    return new Scene(named, [...command, "proxy", CONFIG]);
  }

  get user(): Host {
    return this.named.user;
  }

  /** Starts a connection to the web server that stays open. */
  async stdio(): Promise<Stdio> {
    const fifo = `${FOLDER}/stdio-${++this.#stdios}`;
    await this.user.sh(`mkfifo ${fifo}; chmod 666 ${fifo}`);
    // The process itself must not hold the end that is written to.
    const script = `fifo=$1; shift; exec "$@" < $fifo`;
    const words = ["bash", "-c", script, "bash", fifo, ...this.command, "--stdio", "10.8.0.1:80"];
    const process = await this.user.start(words, { env: ENV });
    const pen = await this.user.start(["bash", "-c", `exec 3> ${fifo}; echo open; exec sleep infinity`]);
    await eventually("the pipe", () => pen.output().includes("open"));
    return new Stdio(this.user, process, pen);
  }

  /** The address from which the server last received: each tunnel has its own port. */
  async heardFrom(): Promise<string> {
    return (await this.named.server.ok("wg", "show", "wg0", "endpoints")).trim().split("\t")[1]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.named[Symbol.asyncDispose]();
  }
}

/** One `wgd proxy --stdio`. */
class Stdio {
  #asked = 0;

  constructor(readonly user: Host, readonly process: Process, readonly pen: Process) {}

  /** Asks for a page over the same connection, and waits for it. */
  async ask(): Promise<void> {
    await this.user.sh(`cat > /proc/${this.pen.pid}/fd/3`, { stdin: REQUEST });
    this.#asked++;
    await eventually(
      `page ${this.#asked}`,
      () => this.process.output().match(/hello 10\.8\.0\.2/g)?.length === this.#asked,
      { within: 30_000 },
    );
  }

  /** Ends the program's stream, as a program does when it has finished. */
  async hangUp(): Promise<void> {
    await this.pen.signal("KILL");
    await this.pen.ended;
  }
}

await rootTest("connections of --stdio share a tunnel, whichever of them ends first", {
  programs: ["wg"],
}, async (test) => {
  await using scene = await Scene.create();
  await test.step("a second one uses the tunnel of the first", async () => {
    const first = await scene.stdio();
    await first.ask();
    const port = await scene.heardFrom();
    const second = await scene.stdio();
    await second.ask();
    equal(await scene.heardFrom(), port);
    await first.ask();
    // The first one's program hangs up as ssh does, and nobody has to wait for its messages to end.
    await first.process.signal("HUP");
    await first.hangUp();
    await second.ask();
    const third = await scene.stdio();
    await third.ask();
    await second.hangUp();
    equal((await second.process.ended).code, 0);
    await third.ask();
    equal(await scene.heardFrom(), port);
    await third.hangUp();
    equal((await third.process.ended).code, 0);
    await first.process.ended;
    equal(await scene.user.sh(`ls ${ENV.XDG_RUNTIME_DIR}/wgd`), "");
  });
  await test.step("one beside a proxy uses its tunnel", async () => {
    const proxy = await scene.user.start([...scene.command, "--forward", "1080=10.8.0.1:80"], { env: ENV });
    const curl = () => scene.user.run(["curl", "--silent", "--max-time", "20", "http://127.0.0.1:1080/"]);
    await eventually("the proxy", async () => (await curl()).code === 0, { within: 30_000 });
    const port = await scene.heardFrom();
    const stdio = await scene.stdio();
    await stdio.ask();
    equal(await scene.heardFrom(), port);
    await stdio.hangUp();
    equal((await stdio.process.ended).code, 0);
    const nowhere = await scene.user.run([...scene.command, "--stdio", "10.8.0.1:81"], { env: ENV });
    deepEqual([nowhere.code, nowhere.stderr], [1, "wgd: 10.8.0.1:81 refused the connection\n"]);
    const other = await scene.user.run([...scene.command, "--interface", "other", "--socks5", "1082"], {
      env: ENV,
    });
    equal(other.code, 1);
    match(other.stderr, /^wgd: another wgd proxy is already running this tunnel\nhint: /);
    await proxy.signal("TERM");
    equal((await proxy.ended).code, 143);
  });
});
