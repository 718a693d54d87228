/**
 * Two tunnels in this program that are each other's peers, over UDP on loopback.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { type Config, parseConfig } from "../../../core/config/format.ts";
import { formatKey } from "../../../core/config/key.ts";
import { generatePrivateKey } from "../../../core/keys.ts";
import { bringUp, type UpOptions } from "../../../core/net/up.ts";
import type { UserNet } from "../../../core/net/user_net.ts";
import { publicKey } from "../../../core/public_key.ts";
import { UapiError } from "../../../core/uapi/lines.ts";

const EADDRINUSE = 98;

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

  static async up(options: UpOptions = {}, lines = ""): Promise<NetPair> {
    for (let attempt = 0;; attempt++) {
      try {
        return await NetPair.#try(options, lines);
      } catch (error) {
        // Each needs the other's port in advance, and another process may have taken it meanwhile.
        if (attempt === 10 || !(error instanceof UapiError && error.errno === EADDRINUSE)) throw error;
      }
    }
  }

  static async #try(options: UpOptions, lines: string): Promise<NetPair> {
    const keys = [generatePrivateKey(), generatePrivateKey()] as const;
    const ports = [await freePort(), await freePort()] as const;
    const config = (own: 0 | 1): Config => {
      const other = 1 - own as 0 | 1;
      return parseConfig(`
        [Interface]
        PrivateKey = ${formatKey(keys[own])}
        ListenPort = ${ports[own]}
        Address = 10.9.0.${own + 1}/24, fd09::${own + 1}/64
        ${lines}
        [Peer]
        PublicKey = ${formatKey(publicKey(keys[other]))}
        AllowedIPs = 10.9.0.${other + 1}/32, fd09::${other + 1}/128
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
