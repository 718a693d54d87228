/** `wgd proxy`. @module */

import { parseArgs } from "node:util";
import { ConfigError } from "../../core/config/config_error.ts";
import { type Config, parseConfig } from "../../core/config/format.ts";
import { ValueError } from "../../core/config/values.ts";
import { readConfigFile } from "../../core/config_file.ts";
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
import { isWireproxyFile, parseWireproxy } from "../../core/proxy/wireproxy.ts";
import { PROXY_OPTIONS } from "../grammar.ts";
import { complainHint } from "../hint.ts";
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
  const interruption = new Interruption();
  try {
    const { source, rules, stdio } = await readTask(file, values);
    const listens = [rules.socks5, rules.http, rules.forwards, rules.reverses].flat().length > 0;
    if (listens === (stdio !== undefined)) {
      return usage(
        listens
          ? "--stdio is for one connection, without other options"
          : "say what it is to do: --socks5, --http, --forward, --reverse or --stdio",
      );
    }
    await using net = await up(source, {
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

interface Values {
  socks5?: string[];
  http?: string[];
  forward?: string[];
  reverse?: string[];
  credentials?: string;
  stdio?: string;
}

/** What is to be done: what the command line says, and the file if it is one of wireproxy's. */
interface Task {
  readonly source: string | Config;
  readonly rules: ProxyRules;
  readonly stdio: Target | undefined;
}

async function readTask(file: string, values: Values): Promise<Task> {
  const { socks5 = [], http = [], forward = [], reverse = [] } = values;
  const { text } = await readConfigFile(file);
  const theirs = isWireproxyFile(text) ? parseWireproxy(text, file, (name) => Deno.env.get(name)) : undefined;
  for (const line of theirs?.passedOver ?? []) complain(`Warning: ${line}`);
  const credentials = values.credentials === undefined
    ? theirs?.credentials
    : readCredentials(decodeText(await readBytes(values.credentials)).text);
  const rules: ProxyRules = {
    socks5: [...socks5.map(readListening), ...theirs?.socks5 ?? []],
    http: [...http.map(readListening), ...theirs?.http ?? []],
    forwards: [...forward.map(readForward), ...theirs?.forwards ?? []],
    reverses: [
      ...reverse.map(readForward).map(({ from, to }) => ({ port: from.port, to })),
      ...theirs?.reverses ?? [],
    ],
    ...(credentials && { credentials }),
  };
  warnOfExposure(rules);
  return {
    source: theirs === undefined ? file : theirs.wgConfig ?? parseConfig(theirs.wireguard, { file }),
    rules,
    stdio: values.stdio === undefined ? theirs?.stdio : readTarget(values.stdio),
  };
}

function warnOfExposure(rules: ProxyRules): void {
  const exposed = [...rules.socks5, ...rules.http].find(({ hostname }) => !isLoopback(hostname));
  if (exposed && !rules.credentials) {
    complain(`Warning: everybody who reaches ${exposed.hostname} port ${exposed.port} can use the tunnel`);
    complain("hint: listen on 127.0.0.1, or ask for a password: --credentials FILE with user:password in it");
  }
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
  complainHint(error);
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
