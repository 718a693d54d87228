/**
 * Two tunnels in this program that are each other's peers, over UDP on loopback.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { type Config, parseConfig } from "../../../core/config/format.ts";
import { formatKey } from "../../../core/config/key.ts";
import type { Family } from "../../../core/config/proxy_rules.ts";
import { generatePrivateKey } from "../../../core/keys.ts";
import { bringUp, type UpOptions } from "../../../core/net/up.ts";
import type { UserNet } from "../../../core/net/user_net.ts";
import { publicKey } from "../../../core/public_key.ts";
import { Errno } from "../../../core/uapi/errno.ts";
import { UapiError } from "../../../core/uapi/lines.ts";

/** A free UDP port. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** Both ends, the first with 10.9.0.1 and fd09::1. */
export class NetPair implements AsyncDisposable {
  private constructor(readonly near: UserNet, readonly far: UserNet, readonly nearConfig: Config) {}

  /** @param families Of their addresses. */
  static async up(
    options: UpOptions = {},
    lines = "",
    families: readonly Family[] = ["ipv4", "ipv6"],
  ): Promise<NetPair> {
    for (let attempt = 0;; attempt++) {
      try {
        return await NetPair.#try(options, lines, families);
      } catch (error) {
        // Each needs the other's port in advance, and another process may have taken it meanwhile.
        if (attempt === 10 || !(error instanceof UapiError && error.errno === Errno.EADDRINUSE)) throw error;
      }
    }
  }

  static async #try(options: UpOptions, lines: string, families: readonly Family[]): Promise<NetPair> {
    const keys = [generatePrivateKey(), generatePrivateKey()] as const;
    const ports = [await freePort(), await freePort()] as const;
    const config = (own: 0 | 1): Config => {
      const other = 1 - own as 0 | 1;
      const addresses = (host: 0 | 1, prefixes: Readonly<Record<Family, number>>) =>
        families.map((family) =>
          `${family === "ipv4" ? "10.9.0." : "fd09::"}${host + 1}/${prefixes[family]}`
        );
      return parseConfig(`
        [Interface]
        PrivateKey = ${formatKey(keys[own])}
        ListenPort = ${ports[own]}
        Address = ${addresses(own, { ipv4: 24, ipv6: 64 })}
        ${lines}
        [Peer]
        PublicKey = ${formatKey(publicKey(keys[other]))}
        AllowedIPs = ${addresses(other, { ipv4: 32, ipv6: 128 })}
        Endpoint = 127.0.0.1:${ports[other]}
      `);
    };
    await using made = new AsyncDisposableStack();
    const near = made.use(await bringUp(config(0), options));
    const far = await bringUp(config(1), options);
    made.move();
    return new NetPair(near, far, config(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.near[Symbol.asyncDispose]();
    await this.far[Symbol.asyncDispose]();
  }
}
