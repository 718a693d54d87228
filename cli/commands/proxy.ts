/** `wgd proxy`. @module */

import { parseArgs } from "node:util";
import { preparedProxySocket } from "../../core/client/proxy_sockets.ts";
import { ConfigError } from "../../core/config/config_error.ts";
import { parseDecimal } from "../../core/config/number.ts";
import type { Target } from "../../core/config/proxy_rules.ts";
import { ValueError } from "../../core/config/values.ts";
import { FileError } from "../../core/file_error.ts";
import type { Net } from "../../core/net/api.ts";
import { HealthServer } from "../../core/net/health_server.ts";
import { Proxy } from "../../core/net/proxy.ts";
import { type ByteStream, relay } from "../../core/net/relay.ts";
import { bringUp } from "../../core/net/up.ts";
import type { UserNet } from "../../core/net/user_net.ts";
import { PROXY_OPTIONS } from "../grammar.ts";
import { complainHint } from "../hint.ts";
import { Interruption } from "../interruption.ts";
import { programName, shortName } from "../program.ts";
import { listens, type ProxyTask, readProxyTask } from "../proxy_task.ts";
import { complain } from "../render/output.ts";

/** Seconds that connections have to finish after SIGTERM, unless `--grace` says otherwise. */
const GRACE = 5;

/** Lets programs use a tunnel without an interface, and without root. */
export async function proxy(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: PROXY_OPTIONS });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { positionals, values } = parsed;
  const [file, ...more] = [...positionals, ...(values.config === undefined ? [] : [values.config])];
  if (file === undefined || more.length > 0) return usage();
  const { silent, configtest, info } = values;
  const health = [...values.health ?? [], ...(info === undefined ? [] : [info])];
  const interruption = new Interruption();
  try {
    const grace = readGrace(values.grace);
    const task = await readProxyTask(
      file,
      { ...values, ...(health.length > 0 && { health }) },
      silent ? () => {} : complain,
    );
    if (!listens(task) && !task.stdio) {
      return usage(
        "say what it is to do, by options such as --socks5, or by lines in the file: # wgd: Socks5 = 1080",
      );
    }
    if (configtest) return 0;
    return await run(task, grace, interruption);
  } catch (error) {
    if (interruption.caused(error)) return interruption.code;
    return report(error);
  }
}

function readGrace(text: string | undefined): number {
  const seconds = text === undefined ? GRACE : parseDecimal(text, 86_400);
  if (seconds !== null) return seconds;
  throw new ValueError(`Unable to parse seconds: \`${text}'`, `found "${text}", expected 0 to 86400`);
}

async function run(task: ProxyTask, grace: number, interruption: Interruption): Promise<number> {
  const { file, config, name } = task;
  const controlSocket = listens(task) ? preparedProxySocket(name, complain) : undefined;
  await using net = await bringUp(config, {
    signal: interruption.signal,
    log: (level, message) => level === "error" && complain(`${shortName()}: ${message}`),
    ...(controlSocket !== undefined && { controlSocket }),
  }, file).catch((error) => {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new ValueError(`a proxy of the name "${name}" is running already`, anotherName(name));
  });
  const work: Promise<void>[] = [];
  if (task.stdio) work.push(connectStdio(net, task.stdio, interruption.signal));
  if (listens(task)) work.push(serve(net, task, grace, interruption));
  // In a file of wireproxy both may be asked for: then the end of standard input and output is the end.
  await Promise.race(work);
  return interruption.code;
}

function anotherName(name: string): string {
  return `see it: wgd show ${name}; end it first, or give this one another name: --interface NAME`;
}

async function serve(
  net: UserNet,
  { rules, health, name }: ProxyTask,
  grace: number,
  interruption: Interruption,
): Promise<void> {
  const { signal, again } = interruption;
  const log = (level: string, message: string) => {
    if (level === "error") complain(`${shortName()}: ${message}`);
  };
  using proxy = await Proxy.start(net, rules, log);
  const { default: { version } } = await import("../../deno.json", { with: { type: "json" } });
  using _health = await HealthServer.start(
    { name, version, net, counters: () => proxy.counters },
    health,
    log,
  );
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  if (!interruption.isTermination || grace === 0) return;
  const end = AbortSignal.any([AbortSignal.timeout(grace * 1_000), again]);
  if (proxy.standing > 0) complain(`${shortName()}: ${ending(proxy.standing, grace)}`);
  await proxy.finish(end);
  await net.flushed(end);
}

function ending(connections: number, grace: number): string {
  const them = connections === 1 ? "one connection has" : `${connections} connections have`;
  return `ends when ${them} ended, at the latest in ${grace} s`;
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
      "[--forward <port>=<host>:<port>] [--reverse <port>=<host>:<port>] [--credentials <file>] " +
      "[--health <address>:<port>] | --stdio <host>:<port>",
  );
  return 1;
}
