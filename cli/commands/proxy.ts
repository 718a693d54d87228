/** `wgd proxy`. @module */

import { parseArgs } from "node:util";
import { preparedProxyFolder, proxySocket } from "../../core/client/proxy_sockets.ts";
import { ConfigError } from "../../core/config/config_error.ts";
import { parseDecimal } from "../../core/config/number.ts";
import type { Target } from "../../core/config/proxy_rules.ts";
import { ValueError } from "../../core/config/values.ts";
import { FileError } from "../../core/file_error.ts";
import type { Net } from "../../core/net/api.ts";
import { HealthServer } from "../../core/net/health_server.ts";
import { listenLocally, type LocalListener } from "../../core/net/local_listener.ts";
import { Proxy } from "../../core/net/proxy.ts";
import { closeQuietly } from "../../core/net/relay.ts";
import { connectThrough, sharedSocket } from "../../core/net/shared_tunnel.ts";
import { bringUp } from "../../core/net/up.ts";
import type { UserNet } from "../../core/net/user_net.ts";
import { PROXY_OPTIONS } from "../grammar.ts";
import { resolvesEndpoints } from "../endpoint.ts";
import { complainHint } from "../hint.ts";
import { Interruption } from "../interruption.ts";
import { programName, shortName } from "../program.ts";
import { listens, type ProxyTask, readProxyTask } from "../proxy_task.ts";
import { complain } from "../render/output.ts";
import { closeStdio, connectStdio } from "../stdio_connection.ts";

/** Seconds that connections have to finish after SIGTERM. The default of `--grace`. */
const GRACE = 5;
/** How often to try again if another process is just ending or starting. */
const ATTEMPTS = 5;

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
        "nothing to do: use an option such as --socks5, or a line in the file: # wgd: Socks5 = 1080",
      );
    }
    if (configtest) return 0;
    return await run(task, grace, interruption);
  } catch (error) {
    return failure(error, interruption);
  }
}

function readGrace(text: string | undefined): number {
  const seconds = text === undefined ? GRACE : parseDecimal(text, 86_400);
  if (seconds !== null) return seconds;
  throw new ValueError(`Unable to parse seconds: \`${text}'`, `found "${text}", expected 0 to 86400`);
}

async function run(task: ProxyTask, grace: number, interruption: Interruption): Promise<number> {
  const folder = preparedProxyFolder(complain);
  if (folder === undefined) return await runTunnel(task, grace, interruption);
  const path = await sharedSocket(folder, task.config);
  // Another process may end or start meanwhile.
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (isForStdio(task)) {
      using conn = await connectThrough(path, task.stdio, interruption.signal);
      if (conn) {
        await connectStdio(conn, interruption.signal);
        return interruption.code;
      }
    }
    using door = await openDoor(path);
    if (door) return await runTunnel(task, grace, interruption, { folder, door });
    if (!isForStdio(task)) break;
  }
  throw new ValueError(
    "another wgd proxy is already running this tunnel",
    '"wgd show" shows it; end it first, or start it with these options too',
  );
}

/** Whether `--stdio` is the only task. Then the tunnel of another process can be used. */
function isForStdio(task: ProxyTask): task is ProxyTask & { stdio: Target } {
  return task.stdio !== undefined && !listens(task);
}

/** Opens the socket through which other processes use this tunnel. @returns Null if another process has it. */
async function openDoor(path: string): Promise<LocalListener & Disposable | null> {
  try {
    const listener = await listenLocally({ at: { path } });
    return { ...listener, [Symbol.dispose]: () => closeQuietly(listener) };
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return null;
    throw error;
  }
}

async function runTunnel(
  task: ProxyTask,
  grace: number,
  interruption: Interruption,
  shared?: { readonly folder: string; readonly door: LocalListener },
): Promise<number> {
  const { file, settings, config, name, rules, prefer } = task;
  const { signal } = interruption;
  await using net = await bringUp(config, {
    signal,
    log,
    resolveEndpoints: resolvesEndpoints(),
    prefer,
    ...(shared && listens(task) && { controlSocket: proxySocket(shared.folder, name) }),
  }, { file, settings }).catch((error) => {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new ValueError(`a proxy named "${name}" is already running`, anotherName(name));
  });
  using proxy = await Proxy.start(net, rules, log);
  if (shared) proxy.serveOthers(shared.door);
  using _health = listens(task) ? await startHealth(net, proxy, task) : undefined;
  const work = [untilAborted(signal)];
  if (task.stdio) work.push(speakFor(net, task.stdio, signal));
  // A file of wireproxy may configure both. Then the proxy ends when standard input and output end.
  const code = await Promise.race(work).then(
    () => interruption.code,
    (error) => failure(error, interruption),
  );
  await finish(net, proxy, isForStdio(task), grace, interruption);
  return code;
}

/** Lets connections finish: for a limited time after SIGTERM; without a limit if other processes use the tunnel. */
async function finish(
  net: UserNet,
  proxy: Proxy,
  forStdio: boolean,
  grace: number,
  interruption: Interruption,
): Promise<void> {
  const { signal, again } = interruption;
  if (forStdio && !interruption.isTermination) {
    closeStdio();
    // The caller, such as ssh, sends SIGHUP now, which must not end the connections of others.
    await proxy.unused(signal);
    if (!interruption.isTermination) return await proxy.unused(again);
  }
  if (!interruption.isTermination || grace === 0) return;
  const end = AbortSignal.any([AbortSignal.timeout(grace * 1_000), again]);
  if (proxy.standing > 0) complain(`${shortName()}: ${ending(proxy.standing, grace)}`);
  await proxy.finish(end);
  await net.flushed(end);
}

function log(level: string, message: string): void {
  if (level === "error") complain(`${shortName()}: ${message}`);
}

function anotherName(name: string): string {
  return `see it: wgd show ${name}; end it first, or give this one another name: --interface NAME`;
}

async function startHealth(net: UserNet, proxy: Proxy, { health, name }: ProxyTask): Promise<HealthServer> {
  const { default: { version } } = await import("../../deno.json", { with: { type: "json" } });
  return await HealthServer.start({ name, version, net, counters: () => proxy.counters }, health, log);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function ending(connections: number, grace: number): string {
  const them = connections === 1 ? "one connection has" : `${connections} connections have`;
  return `will end when ${them} ended, after ${grace} s at the latest`;
}

async function speakFor(net: Net, { host, port }: Target, signal: AbortSignal): Promise<void> {
  using conn = await net.connect({ hostname: host, port, signal });
  await connectStdio(conn, signal);
}

/** @returns The exit code. */
function failure(error: unknown, interruption: Interruption): number {
  return interruption.caused(error) ? interruption.code : report(error);
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
      "[--sni <address>:<port>] [--forward <port>=<host>:<port>] [--reverse <port>=<host>:<port>] [--credentials <file>] " +
      "[--health <address>:<port>] | --stdio <host>:<port>",
  );
  return 1;
}
