/**
 * A user with a configuration file, and a server behind a tunnel. The server has a name in the tunnel's DNS.
 *
 * @module
 */

import { eventually } from "./exec.ts";
import type { Host, Process } from "./host.ts";
import { formatConfig, generateKeys, type Keys } from "./keys.ts";
import { connect, Network } from "./network.ts";
import { wgdCommand } from "./tunnel.ts";

const wgd = wgdCommand();
/** Where the files of both are. */
export const FOLDER = "/run/lab";
/** The user's file. */
export const CONFIG = `${FOLDER}/client.conf`;
/** The server's name, which its name server knows and its certificate is for. */
export const NAME = "server.test";

/** A user without privileges: nobody. */
export const NOBODY = 65_534;

/** Changes of the user's file. */
export interface UserFile {
  /** More lines for the section of the interface. */
  readonly quick?: readonly string[];
  /** In place of the tunnel's own networks. */
  readonly allowedIps?: readonly string[];
}

/** A user, and a server behind a tunnel with a name. */
export class NamedServer implements AsyncDisposable {
  private constructor(
    readonly network: Network,
    readonly user: Host,
    readonly server: Host,
    readonly keys: Keys,
    readonly theirs: Keys,
  ) {}

  static async create(
    { quick = [], allowedIps = ["10.8.0.0/24", "fd08::/64"] }: UserFile = {},
  ): Promise<NamedServer> {
    await using made = new AsyncDisposableStack();
    const network = made.use(await Network.create("user", "server"));
    const [user, server] = network.hosts;
    await connect(
      { host: user, name: "eth0", addresses: ["192.0.2.2/24"] },
      { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    );
    const [keys, theirs] = [generateKeys(), generateKeys()];
    await server.sh(`umask 077; cat > ${FOLDER}/wg0.conf`, {
      stdin: formatConfig({
        privateKey: theirs.privateKey,
        listenPort: 51820,
        quick: ["Address = 10.8.0.1/24, fd08::1/64"],
        peers: [{ publicKey: keys.publicKey, allowedIps: ["10.8.0.2/32", "fd08::2/128"] }],
      }),
    });
    await server.ok(...wgd, "quick", "up", `${FOLDER}/wg0.conf`);
    await user.sh(`umask 077; cat > ${CONFIG}`, {
      stdin: formatConfig({
        privateKey: keys.privateKey,
        quick: ["Address = 10.8.0.2/24, fd08::2/64", "DNS = 10.8.0.1", ...quick],
        peers: [{ publicKey: theirs.publicKey, endpoint: "192.0.2.1:51820", allowedIps }],
      }),
    });
    made.move();
    return new NamedServer(network, user, server, keys, theirs);
  }

  /** Gives the user's file to nobody, who can also access its folder. */
  async giveToNobody(): Promise<void> {
    await this.user.sh(`chmod 755 /run ${FOLDER}; chown ${NOBODY} ${CONFIG}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
  }
}

/** The path of a program of the lab. */
export function script(name: string): string {
  return new URL(name, import.meta.url).pathname;
}

/** Starts a server of the lab, and waits until it says that it is ready. */
export async function serve(host: Host, name: string, ...args: string[]): Promise<Process> {
  const words = [Deno.execPath(), "run", "--allow-net", "--allow-read", "--no-check", script(name), ...args];
  const process = await host.start(words);
  await eventually(name, () => process.output().includes("ready"));
  return process;
}

/** Starts a name server that knows the server's name, and waits until it listens. */
export async function nameServer(server: Host, ...names: string[]): Promise<void> {
  await server.start([
    ...[
      "dnsmasq",
      "--keep-in-foreground",
      "--no-resolv",
      "--no-hosts",
      // Other names there do not exist.
      "--local=/test/",
      "--conf-file=/dev/null",
      "--user=root",
    ],
    ...[
      "--listen-address=10.8.0.1",
      "--bind-interfaces",
      "--pid-file",
      `--host-record=${[NAME, ...names].join(",")},10.8.0.1`,
    ],
  ]);
  await eventually("the name server", async () => await server.sh("ss -Hlnu 'sport = :53'") !== "");
}
