/**
 * The API of a host in userspace without an engine, for tests that read and write its packets themselves.
 *
 * @module
 */

import type { IpHost } from "../core/net/ip_host.ts";
import { UserNet } from "../core/net/user_net.ts";

/** @param addresses The host's. */
export function netWithoutEngine(host: IpHost, addresses: readonly Uint8Array[]): UserNet {
  return new UserNet({
    host,
    addresses,
    servers: [],
    search: [],
    ask: () => Promise.reject(new Error("there is no engine")),
    sockets: "node",
    caCerts: [],
    prefer: undefined,
    greet: () => {},
    end: () => Promise.resolve(),
  });
}
