/**
 * A user with a configuration file, and a server behind a tunnel that has a name in the tunnel's DNS.
 *
 * @module
 */

import type { Host } from "./host.ts";
import { formatConfig, generateKeys, type Keys } from "./keys.ts";
import { connect, Network } from "./network.ts";
import { wgdCommand } from "./tunnel.ts";

const wgd = wgdCommand();
/** Where the files of both are. */
export const FOLDER = "/run/lab";
/** The server's name, which its name server knows and its certificate is for. */
export const NAME = "server.test";

/** A user, and a server behind a tunnel with a name. */
export class NamedServer implements AsyncDisposable {
  private constructor(
    readonly network: Network,
    readonly user: Host,
    readonly server: Host,
    readonly keys: Keys,
    readonly theirs: Keys,
  ) {}

  static async create(): Promise<NamedServer> {
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
    await user.sh(`umask 077; cat > ${FOLDER}/client.conf`, {
      stdin: formatConfig({
        privateKey: keys.privateKey,
        quick: ["Address = 10.8.0.2/24, fd08::2/64", "DNS = 10.8.0.1"],
        peers: [{
          publicKey: theirs.publicKey,
          endpoint: "192.0.2.1:51820",
          allowedIps: ["10.8.0.0/24", "fd08::/64"],
        }],
      }),
    });
    made.move();
    return new NamedServer(network, user, server, keys, theirs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
  }
}

/** Starts a name server that knows the server's name. */
export async function nameServer(server: Host, ...names: string[]): Promise<void> {
  await server.start([
    ...[
      "dnsmasq",
      "--keep-in-foreground",
      "--no-resolv",
      "--no-hosts",
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
}
