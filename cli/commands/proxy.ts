/** `wgd proxy`. @module */

import { parseArgs } from "node:util";
import { ConfigError } from "../../core/config/config_error.ts";
import { ValueError } from "../../core/config/values.ts";
import { FileError } from "../../core/file_error.ts";
import type { Net } from "../../core/net/api.ts";
import { Proxy, type ProxyRules } from "../../core/net/proxy.ts";
import { type ByteStream, relay } from "../../core/net/relay.ts";
import { up } from "../../core/net/up.ts";
import {
  isLoopback,
  readCredentials,
  readForward,
  readListening,
  readTarget,
} from "../../core/proxy/rules.ts";
import type { Target } from "../../core/proxy/handshake.ts";
import { PROXY_OPTIONS } from "../grammar.ts";
import { decodeText, readBytes } from "../input.ts";
import { Interruption } from "../interruption.ts";
import { programName, shortName } from "../program.ts";
import { complain } from "../render/output.ts";

/** Lets programs use a tunnel without an interface, and without root. */
export async function proxy(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: PROXY_OPTIONS });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { positionals: [file, ...more], values } = parsed;
  if (file === undefined || more.length > 0) return usage();
  const wanted = [values.socks5, values.http, values.forward, values.reverse].flat().filter(Boolean);
  if ((wanted.length > 0) === (values.stdio !== undefined)) {
    return usage(
      values.stdio === undefined
        ? "say what it is to do: --socks5, --http, --forward, --reverse or --stdio"
        : "--stdio is for one connection, without other options",
    );
  }
  const interruption = new Interruption();
  try {
    const rules = await readRules(values);
    const stdio = values.stdio === undefined ? undefined : readTarget(values.stdio);
    await using net = await up(file, {
      signal: interruption.signal,
      log: (level, message) => level === "error" && complain(`${shortName()}: ${message}`),
    });
    if (stdio) await connectStdio(net, stdio, interruption.signal);
    else await serve(net, rules, interruption.signal);
    return interruption.code;
  } catch (error) {
    if (interruption.caused(error)) return interruption.code;
    return report(error);
  }
}

async function readRules(values: {
  socks5?: string[];
  http?: string[];
  forward?: string[];
  reverse?: string[];
  credentials?: string;
}): Promise<ProxyRules> {
  const { socks5 = [], http = [], forward = [], reverse = [], credentials } = values;
  const rules: ProxyRules = {
    socks5: socks5.map(readListening),
    http: http.map(readListening),
    forwards: forward.map(readForward),
    reverses: reverse.map((text) => {
      const { from, to } = readForward(text);
      return { port: from.port, to };
    }),
    ...(credentials !== undefined && {
      credentials: readCredentials(decodeText(await readBytes(credentials)).text),
    }),
  };
  const exposed = [...rules.socks5, ...rules.http].find(({ hostname }) => !isLoopback(hostname));
  if (exposed && !rules.credentials) {
    complain(`Warning: everybody who reaches ${exposed.hostname} port ${exposed.port} can use the tunnel`);
    complain("hint: listen on 127.0.0.1, or ask for a password: --credentials FILE with user:password in it");
  }
  return rules;
}

async function serve(net: Net, rules: ProxyRules, signal: AbortSignal): Promise<void> {
  using _proxy = Proxy.start(net, rules, (level, message) => {
    if (level === "error") complain(`${shortName()}: ${message}`);
  });
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** One connection between standard input and output and the target, as ssh's ProxyCommand wants it. */
async function connectStdio(net: Net, target: Target, signal: AbortSignal): Promise<void> {
  using conn = await net.connect({ hostname: target.host, port: target.port, signal });
  const standard: ByteStream = {
    read: (buffer) => Deno.stdin.read(buffer),
    write: (bytes) => Deno.stdout.write(bytes),
    closeWrite: () => {
      Deno.stdout.close();
      return Promise.resolve();
    },
  };
  const ended = new Promise<void>((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
  await Promise.race([relay(standard, conn), ended]);
}

function report(error: unknown): number {
  const kinds = [ConfigError, ValueError, FileError, ...Object.values(Deno.errors)];
  if (!kinds.some((kind) => error instanceof kind)) throw error;
  complain(`${shortName()}: ${(error as Error).message}`);
  if (error instanceof ConfigError) complain(error.hint);
  if (error instanceof ValueError && error.advice) complain(`hint: ${error.advice}`);
  return 1;
}

function usage(problem?: string): number {
  if (problem !== undefined) complain(`${shortName()}: ${problem}`);
  complain(
    `Usage: ${programName()} proxy <file> [--socks5 <address>:<port>] [--http <address>:<port>] ` +
      "[--forward <port>=<host>:<port>] [--reverse <port>=<host>:<port>] [--credentials <file>] | " +
      "--stdio <host>:<port>",
  );
  return 1;
}
