/**
 * Looks up endpoints with `getaddrinfo`, with the retries of `wg`.
 *
 * @module
 */

import { parseIPv4, parseIPv6 } from "../config/address.ts";
import { type EndpointText, parseScopedIPv6, type SocketAddress } from "../config/endpoint.ts";
import { parsePort } from "../config/number.ts";
import { advisePort, ValueError } from "../config/values.ts";
import { servicePort } from "./services.ts";

/** How to look an endpoint up. */
export interface ResolveOptions {
  /**
   * How often to retry after a temporary failure; `Infinity` for no limit.
   * @default {15}
   */
  retries?: number;
  /** Called before each further attempt with `wg`'s message. */
  report?: (message: string) => void;
  /** Waits for a number of milliseconds; for tests. */
  wait?: (milliseconds: number) => Promise<void>;
  /** Looks a host name up; for tests. */
  lookupHost?: (host: string) => Promise<string>;
}

/**
 * Finds the address of an endpoint. A temporary failure is retried after 1 s; each further pause is 1.2 times as
 * long, up to 20 s (wg, config.c).
 *
 * @throws {ValueError} If there is no such host or service, or all retries fail.
 */
export async function resolveEndpoint(
  endpoint: EndpointText,
  options: ResolveOptions = {},
): Promise<SocketAddress> {
  const port = parsePort(endpoint.port, servicePort);
  if (port === null) {
    // wg retries here too, although the services are in a local file.
    throw new ValueError(
      `Servname not supported for ai_socktype: \`${endpoint.text}'`,
      advisePort(endpoint.port),
    );
  }
  const numeric = await parseNumericHost(endpoint.host);
  if (numeric) return { ...numeric, port };
  const { retries = 15, report, wait = sleep, lookupHost = firstAddress } = options;
  for (let attempt = 0, microseconds = 1_000_000;; attempt++) {
    try {
      const host = await parseNumericHost(await lookupHost(endpoint.host));
      if (host) return { ...host, port };
      throw new ValueError(
        `Neither IPv4 nor IPv6 address found: \`${endpoint.text}'`,
        adviseHost(endpoint.host),
      );
    } catch (error) {
      if (error instanceof ValueError) throw error;
      const failure = describeFailure(error, endpoint.host);
      if (failure.permanent || attempt >= retries) {
        throw new ValueError(`${failure.text}: \`${endpoint.text}'`, adviseHost(endpoint.host));
      }
      const seconds = (microseconds / 1e6).toFixed(2);
      report?.(`${failure.text}: \`${endpoint.text}'. Trying again in ${seconds} seconds...`);
    }
    await wait(microseconds / 1000);
    microseconds = Math.min(20_000_000, Math.floor(microseconds * 6 / 5));
  }
}

/** Parses an address. A scope names an interface of this machine, whose index only the system knows (FFI). */
async function parseNumericHost(host: string): Promise<Omit<SocketAddress, "port"> | null> {
  const ipv4 = parseIPv4(host);
  if (ipv4) return { family: 4, address: ipv4, scope: 0 };
  if (!host.includes(":")) return null;
  const plain = parseIPv6(host);
  if (plain) return { family: 6, address: plain, scope: 0 };
  const { interfaceIndex } = await import("./system.ts");
  const scoped = parseScopedIPv6(host, interfaceIndex);
  return scoped && { family: 6, ...scoped };
}

async function firstAddress(host: string): Promise<string> {
  // An empty name or an invalid address must not reach a name server. Deno would return null or send a query.
  if (host === "" || host.includes(":")) {
    throw Object.assign(new Error("no such name"), { errno: EAI_NONAME });
  }
  // Loaded only for names, because it takes long to load.
  const { lookup } = await import("node:dns/promises");
  return (await lookup(host, { verbatim: true })).address;
}

// libuv's numbers for the results of getaddrinfo (uv/errno.h), which node:dns reports.
const EAI_FAIL = -3004;
const EAI_NODATA = -3007;
const EAI_NONAME = -3008;

const FAILURES: Record<number, { text: string; permanent: boolean }> = {
  [-3000]: { text: "Address family for hostname not supported", permanent: false },
  [-3001]: { text: "Temporary failure in name resolution", permanent: false },
  [EAI_FAIL]: { text: "Non-recoverable failure in name resolution", permanent: true },
  [-3005]: { text: "ai_family not supported", permanent: false },
  [-3006]: { text: "Memory allocation failure", permanent: false },
  [EAI_NODATA]: { text: "No address associated with hostname", permanent: true },
  [EAI_NONAME]: { text: "Name or service not known", permanent: true },
};

function describeFailure(error: unknown, host: string): { text: string; permanent: boolean } {
  const errno = (error as { errno?: unknown }).errno;
  // For an invalid name Deno reports NODATA and glibc NONAME.
  const isName = /^[\w.-]{1,253}$/.test(host);
  const failure = FAILURES[errno === EAI_NODATA && !isName ? EAI_NONAME : Number(errno)];
  return failure ?? { text: error instanceof Error ? error.message : String(error), permanent: false };
}

function adviseHost(host: string): string {
  return `found the host "${host}", expected an address or a name that can be looked up; try: getent ahosts ${host}`;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
