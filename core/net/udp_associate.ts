/**
 * UDP through the tunnel for programs that use SOCKS5 (RFC 1928 §7): one socket on this machine for the program and one in
 * the tunnel, while the program's TCP connection is open.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Target } from "../proxy/handshake.ts";
import { readDatagram, writeDatagram } from "../proxy/socks5.ts";
import type { Net } from "./api.ts";
import { addressInTunnel, eachDatagram } from "./udp_flows.ts";

/** The maximum number of cached names of one program. */
const MAX_NAMES = 256;

/** Forwards the datagrams of one program. */
export class UdpAssociation implements Disposable {
  /** The address to which the program sends its datagrams. */
  readonly bound: Target;
  readonly #net: Net;
  readonly #outside: Socket;
  readonly #inside: Deno.DatagramConn;
  readonly #client: string;
  /** The program's port: that of its first datagram. Datagrams from other ports are dropped. */
  #port: number | undefined;
  readonly #names = new Map<string, string>();

  private constructor(net: Net, outside: Socket, client: string) {
    this.#net = net;
    this.#outside = outside;
    this.#client = client;
    const { address, port } = outside.address();
    this.bound = { host: address, port };
    this.#inside = net.listenDatagram({ port: 0 });
    outside.on("message", (bytes: Uint8Array, sender: RemoteInfo) => {
      this.#send(bytes, sender).catch(() => {});
    });
    outside.on("error", () => {});
    void this.#receive();
  }

  /**
   * Opens both sockets.
   *
   * @param local The address at which the program has reached us.
   * @param client The program's own address: datagrams of others are dropped.
   */
  static async open(net: Net, local: string, client: string): Promise<UdpAssociation> {
    const socket = createSocket(local.includes(":") ? "udp6" : "udp4");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("error", reject);
    socket.bind(0, local, resolve);
    await promise;
    socket.removeAllListeners("error");
    try {
      return new UdpAssociation(net, socket, client);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  async #send(bytes: Uint8Array, { address, port }: RemoteInfo): Promise<void> {
    if (address !== this.#client || port !== (this.#port ??= port)) return;
    const datagram = readDatagram(bytes);
    if (!datagram) return;
    const { target: { host, port: to }, data } = datagram;
    const hostname = await this.#addressOf(host);
    await this.#inside.send(data, { transport: "udp", hostname, port: to });
  }

  async #receive(): Promise<void> {
    for await (const [data, { hostname, port }] of eachDatagram(this.#inside)) {
      if (this.#port === undefined) continue;
      const datagram = writeDatagram({ target: { host: hostname, port }, data });
      this.#outside.send(Buffer.from(datagram), this.#port, this.#client, () => {});
    }
  }

  /** The address of a name, looked up in the tunnel. */
  async #addressOf(host: string): Promise<string> {
    const known = this.#names.get(host);
    if (known) return known;
    const found = await addressInTunnel(this.#net, host);
    if (this.#names.size >= MAX_NAMES) this.#names.clear();
    this.#names.set(host, found);
    return found;
  }

  /** Closes both sockets. */
  [Symbol.dispose](): void {
    this.#outside.close();
    this.#inside.close();
  }
}
