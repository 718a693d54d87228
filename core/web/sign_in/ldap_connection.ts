/**
 * A connection to a directory, with TLS as configured. It never reconnects by itself.
 *
 * @module
 */

import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Client } from "ldapts";
import type { Fault } from "./fault.ts";
import { directoryFault } from "./ldap_fault.ts";
import type { FullLdapSettings } from "./ldap_settings.ts";

/** A directory did not respond, or its response was incomplete. This shows nothing about any person. */
export class DirectoryError extends Error {
  override name = "DirectoryError";
  constructor(
    action: string,
    override readonly cause: unknown,
    /** The same for people who use the page. */
    readonly fault: Fault,
  ) {
    super(`the directory ${action}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Milliseconds for a connection. */
const CONNECT = 5_000;
/** Milliseconds for a response. */
export const ANSWER = 10_000;

/** One connection of ldapts, which would otherwise reconnect by itself, without StartTLS. */
export interface Connection {
  /** Makes a request, and fails at once if the connection ends. */
  ask<Answer>(question: (client: Client) => Promise<Answer>): Promise<Answer>;
  /** Ends it. */
  close(): Promise<void>;
}

/** Connects to a directory, with TLS as configured. @throws {DirectoryError} If StartTLS fails. */
export async function connect({ host, port, security, ca }: FullLdapSettings): Promise<Connection> {
  const tls = { ...(ca !== undefined && { ca: [ca] }), ...(isIP(host) === 0 && { servername: host }), host };
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {});
  let connections = 0;
  const once = <Made extends Socket>(make: () => Made): Made => {
    if (connections++ > 0) throw new Error("the connection was lost");
    const socket = make();
    // ldapts reports some errors of a connection only after it has closed it.
    socket.once("error", lost.reject);
    // After StartTLS ldapts does not detect the end.
    socket.once("close", () => lost.reject(new Error("the connection was lost")));
    return socket;
  };
  const client = new Client({
    url: `${security === "ldaps" ? "ldaps" : "ldap"}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
    connectTimeout: CONNECT,
    timeout: ANSWER,
    createConnection: ((...args: Parameters<typeof connectPlain>) =>
      once(() =>
        connectPlain(...args)
      )) as typeof connectPlain,
    ...(security === "ldaps" && {
      tlsOptions: tls,
      createSecureConnection: ((...args: Parameters<typeof connectTls>) =>
        once(() => connectTls(...args))) as typeof connectTls,
    }),
  });
  const connection: Connection = {
    ask: (question) => Promise.race([question(client), lost.promise]),
    async close() {
      try {
        if (client.isConnected) await Promise.race([client.unbind(), lost.promise]);
      } catch {
        // The connection has already ended.
      }
    },
  };
  if (security !== "starttls") return connection;
  try {
    await client.startTLS(tls);
    return connection;
  } catch (error) {
    await connection.close();
    const fault = directoryFault(error, { host, port }, { what: "start-tls" });
    throw new DirectoryError("cannot be reached with StartTLS", error, fault);
  }
}
