/**
 * A user whose tunnel ends in a process, a server whose tunnel ends in an interface, and a link between them.
 *
 * @module
 */

import { eventually } from "../netns/lab/exec.ts";
import type { Host, Process } from "../netns/lab/host.ts";
import { formatConfig, generateKeys } from "../netns/lab/keys.ts";
import { connect, Network } from "../netns/lab/network.ts";
import { Tunnel, wgdCommand } from "../netns/lab/tunnel.ts";
import { cacheFolder, madeFolder, told } from "../netns/peers/cache.ts";
import { cargoInstall } from "../netns/peers/cargo.ts";
import { runGo } from "../netns/peers/go.ts";

/** What a link does to datagrams. */
export interface LinkQuality {
  readonly bitsPerSecond: number;
  /** Milliseconds there and back. */
  readonly roundTrip: number;
  /** The part of the datagrams that is lost by chance. */
  readonly loss: number;
}

/** A program that forwards local ports into its tunnel. */
export type ProxyName = "wgd" | "netstack" | "onetun";

/** All that can be measured. */
export const PROXIES: readonly ProxyName[] = ["wgd", "netstack", "onetun"];

/** Ports of the server, which the user reaches at the same ports of loopback. */
export const PORTS = { iperf: 5201, echo: 5007 } as const;
/** The server's port of HTTP. */
const WEB = 5080;

const SERVER = "10.8.0.1";
const USER = "10.8.0.2";
const PORT = 51820;
const TICKS_PER_SECOND = 100;

/** Both hosts, and the program that is measured. */
export class ProxyScene implements AsyncDisposable {
  private constructor(
    readonly name: ProxyName,
    readonly network: Network,
    readonly user: Host,
    readonly proxy: Process,
    /** Milliseconds from the program's start until the first byte came back through the tunnel. */
    readonly firstByteAfter: number,
  ) {}

  /**
   * Starts everything and waits until the forwards work.
   *
   * @param name What is measured.
   * @param link What lies between; without it, the two share a cable.
   */
  static async start(name: ProxyName, link?: LinkQuality): Promise<ProxyScene> {
    await using made = new AsyncDisposableStack();
    const network = made.use(await Network.create("user", "server"));
    const [user, server] = network.hosts;
    await connect(
      { host: user, name: "eth0", addresses: ["192.0.2.2/24"] },
      { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    );
    const [keys, theirs] = [generateKeys(), generateKeys()];
    await Tunnel.start({
      implementation: "wireguard-go",
      machine: server,
      addresses: [`${SERVER}/24`],
      mtu: 1420,
      config: {
        privateKey: theirs.privateKey,
        listenPort: PORT,
        peers: [{ publicKey: keys.publicKey, allowedIps: [`${USER}/32`] }],
      },
    });
    const endpoint = `192.0.2.1:${link ? PORT + 1 : PORT}`;
    if (link) {
      const { bitsPerSecond, roundTrip, loss } = link;
      const words = [String(bitsPerSecond), `${roundTrip / 2}ms`, String(loss)];
      await ready(await server.start([await program("link"), endpoint, `192.0.2.1:${PORT}`, ...words]));
    }
    await server.start(["iperf3", "-s", "-p", String(PORTS.iperf)]);
    const echo = `for await (const conn of Deno.listen({ port: ${PORTS.echo} })) {
      conn.setNoDelay();
      conn.readable.pipeTo(conn.writable).catch(() => {});
    }`;
    await server.start([Deno.execPath(), "eval", echo]);
    const page = `Deno.serve({ port: ${WEB} }, () => new Response("hello"));`;
    await server.start([Deno.execPath(), "eval", page]);

    await user.sh("umask 077; cat > /run/lab/key; cat > /run/lab/client.conf", { stdin: "" });
    const forwards = Object.values(PORTS).map((port) => [`127.0.0.1:${port}`, `${SERVER}:${port}`] as const);
    const command = await (async () => {
      switch (name) {
        case "wgd":
          await user.sh("cat > /run/lab/client.conf", {
            stdin: formatConfig({
              privateKey: keys.privateKey,
              quick: [`Address = ${USER}/24`],
              peers: [{ publicKey: theirs.publicKey, endpoint, allowedIps: ["10.8.0.0/24"] }],
            }),
          });
          return [
            ...wgdCommand(),
            "proxy",
            "/run/lab/client.conf",
            ...forwards.flatMap(([local, remote]) => ["--forward", `${local}=${remote}`]),
          ];
        case "netstack":
          await user.sh("cat > /run/lab/client.conf", {
            stdin: `private_key=${hex(keys.privateKey)}\npublic_key=${
              hex(theirs.publicKey)
            }\nendpoint=${endpoint}\nallowed_ip=10.8.0.0/24\n`,
          });
          return [
            await program("netstack"),
            "/run/lab/client.conf",
            USER,
            ...forwards.map((pair) => pair.join("=")),
          ];
        case "onetun":
          await user.sh("cat > /run/lab/key", { stdin: keys.privateKey });
          return [
            await cargoInstall("onetun"),
            ...["--private-key-file", "/run/lab/key", "--endpoint-public-key", theirs.publicKey],
            ...[
              "--endpoint-addr",
              endpoint,
              "--source-peer-ip",
              USER,
              "--keep-alive",
              "10",
              "--log",
              "error",
            ],
            ...forwards.map(([local, remote]) => `${local}:${remote}:TCP`),
          ];
      }
    })();
    const begun = performance.now();
    const proxy = await user.start(command);
    await eventually(`${name} to forward`, async () => {
      const { code } = await user.run([...exchanges(1, 2_000)], { timeout: 5_000 });
      return code === 0;
    }, { within: 30_000, every: 50 });
    const firstByteAfter = performance.now() - begun;
    made.move();
    return new ProxyScene(name, network, user, proxy, firstByteAfter);
  }

  /**
   * Milliseconds that `fetch` through a tunnel in the same program takes longer than over loopback. It ends the program that
   * is measured, as both have the same key. Null if there is no such thing.
   */
  async fetchTakesLonger(): Promise<number | null> {
    if (this.name !== "wgd") return null;
    await this.proxy.signal("KILL");
    await this.proxy.ended;
    const program = new URL("fetch_program.ts", import.meta.url).pathname;
    const words = ["run", "--allow-all", "--no-check", "--quiet", program, "/run/lab/client.conf"];
    return Number(await this.user.ok(Deno.execPath(), ...words, `http://${SERVER}:${WEB}/`));
  }

  /** Processor seconds that the program has used. */
  async processorSeconds(): Promise<number> {
    const text = await this.#status("stat");
    // proc_pid_stat(5): utime and stime are fields 14 and 15; field 2 may hold spaces but ends with the last ")".
    const [utime, stime] = text.slice(text.lastIndexOf(")") + 2).split(" ").slice(11, 13);
    return (Number(utime) + Number(stime)) / TICKS_PER_SECOND;
  }

  /** The most memory in bytes that the program has had resident. */
  async peakMemory(): Promise<number> {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(await this.#status("status"))![1]) * 1024;
  }

  /** The memory in bytes that the program has resident now. */
  async residentMemory(): Promise<number> {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await this.#status("status"))![1]) * 1024;
  }

  /** Opens connections, exchanges a byte on each, and leaves them open. `check` exchanges another byte on each. */
  async openIdle(count: number): Promise<AsyncDisposable & { check(): Promise<void> }> {
    const script = `
      const conns = [];
      const exchange = async (conn) => {
        await conn.write(new Uint8Array(1));
        if (await conn.read(new Uint8Array(1)) === null) throw new Error("a connection has ended");
      };
      while (conns.length < ${count}) {
        conns.push(...await Promise.all(Array.from({ length: 50 }, async () => {
          const conn = await Deno.connect({ hostname: "127.0.0.1", port: ${PORTS.echo} });
          await exchange(conn);
          return conn;
        })));
      }
      console.log("open");
      Deno.addSignalListener("SIGUSR1", async () => {
        for (const conn of conns) await exchange(conn);
        console.log("checked");
      });
      setInterval(() => {}, 1e9);`;
    const process = await this.user.start([Deno.execPath(), "eval", script]);
    const said = (word: string) =>
      eventually(`${count} connections: ${word}`, () => Promise.resolve(process.output().includes(word)), {
        within: 120_000,
      });
    await said("open");
    return {
      check: async () => {
        await process.signal("USR1");
        await said("checked");
      },
      [Symbol.asyncDispose]: async () => {
        await process.signal("KILL");
        await process.ended;
      },
    };
  }

  #status(file: string): Promise<string> {
    return Deno.readTextFile(this.user.path(`/proc/${this.proxy.pid}/${file}`));
  }

  /** Ends the hosts and everything on them. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.network[Symbol.asyncDispose]();
  }
}

/**
 * A command that opens connections one after the other, sends a byte on each and waits for it to come back.
 *
 * @returns The command; it prints milliseconds, a line each.
 */
export function exchanges(count: number, timeout: number): string[] {
  const script = `
    setTimeout(() => Deno.exit(1), ${timeout});
    for (let i = 0; i < ${count}; i++) {
      const begun = performance.now();
      const conn = await Deno.connect({ hostname: "127.0.0.1", port: ${PORTS.echo} });
      conn.setNoDelay();
      await conn.write(new Uint8Array(1));
      if (await conn.read(new Uint8Array(1)) === null) Deno.exit(1);
      console.log(performance.now() - begun);
      conn.close();
    }
    Deno.exit(0);`;
  return [Deno.execPath(), "eval", script];
}

/** One of this folder's programs in Go. */
async function program(name: "netstack" | "link"): Promise<string> {
  const source = new URL(name, import.meta.url).pathname;
  const folder = await madeFolder(
    `${cacheFolder()}/bench-${name}-${await digest(`${source}/main.go`)}`,
    (folder) =>
      told(`building ${name}`, () => runGo(["build", "-o", `${folder}/${name}`, "."], folder, source)),
  );
  return `${folder}/${name}`;
}

/** Names what was built after its source. */
async function digest(file: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(file));
  return new Uint8Array(hash).toHex().slice(0, 12);
}

async function ready(process: Process): Promise<void> {
  await eventually("the link", () => Promise.resolve(process.output().includes("ready")));
}

function hex(key: string): string {
  return Uint8Array.fromBase64(key).toHex();
}
