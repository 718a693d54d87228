/**
 * Bringing interfaces up and down by their files: wg-quick as functions.
 *
 * @module
 */

import type { EndpointText, SocketAddress } from "../config/endpoint.ts";
import {
  ConfigError,
  parseQuickConfig,
  parseWgConfig,
  type QuickConfig,
  type WgConfig,
} from "../config/parse.ts";
import { ValueError } from "../config/values.ts";
import { getDevice, listInterfaces, setDevice } from "../uapi/client.ts";
import { toChange } from "../uapi/convert.ts";
import { UapiError } from "../uapi/format.ts";
import { resolveEndpoint } from "../uapi/resolve.ts";
import { Errno, servicePort } from "../uapi/system.ts";
import { apply, StepError } from "./apply.ts";
import { downFacts, upFacts } from "./facts.ts";
import { planDown, planUp } from "./plan.ts";

const FOLDER = "/etc/wireguard";
const NAME = /^[a-zA-Z0-9_=+.-]{1,15}$/;
/** How long the process behind a deleted interface may take to remove its socket. */
const GONE_TIMEOUT = 2_000;
/** As many retries as `wg` makes of a name that cannot be looked up for now. */
const RESOLUTION_RETRIES = 15;

/** What kept an interface from coming up or going down. */
export class QuickError extends Error {
  /** "QuickError". */
  override readonly name = "QuickError";

  /**
   * Makes the error.
   *
   * @param message What went wrong, in wg-quick's words where it has some.
   * @param hint What to do about it; nothing if the message says it all.
   * @param options.cause The error behind it, such as the interface's refusal.
   */
  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** How `quickUp` and `quickDown` do their work. */
export interface QuickRunOptions {
  /** Told of each step before it is done; silent by default. */
  readonly announce?: (step: string) => void;
  /** Told of what looks wrong but works; silent by default. */
  readonly warn?: (text: string) => void;
  /**
   * Program that makes an interface: called with the interface's name behind these words.
   * @default {["wgd", "run"]}
   */
  readonly creator?: readonly string[];
  /** How the creator is announced, if not by its words. */
  readonly creatorShown?: string;
  /** Environment for the creator, on top of ours. */
  readonly creatorEnv?: Readonly<Record<string, string>>;
  /** Finds the address of an endpoint. */
  readonly resolve?: (endpoint: EndpointText) => Promise<SocketAddress>;
  /** Aborting it ends `quickUp` between two steps and undoes what was done. */
  readonly signal?: AbortSignal;
}

/** A configuration file, read. */
export interface QuickSource {
  /** Name of the interface. */
  readonly name: string;
  /** The file. */
  readonly path: string;
  /** What it says. */
  readonly config: QuickConfig;
}

/**
 * Brings an interface up as `wg-quick up` does.
 *
 * @param target A file `NAME.conf`, or the name of an interface whose file is in /etc/wireguard.
 * @throws {QuickError} If it cannot be done; then nothing is left behind.
 * @throws {ConfigError} If the file has a line that cannot be used.
 */
export async function quickUp(target: string, options: QuickRunOptions = {}): Promise<void> {
  const { name, path, config } = await readQuickSource(target, options.warn);
  if (await exists(`/sys/class/net/${name}`)) {
    throw new QuickError(`\`${name}' already exists`, `take it down first: wgd quick down ${name}`);
  }
  // Everything that can be wrong with the file is found before the first step.
  const wg = parseWgConfig(config.wg, {
    file: path,
    lines: config.wgLines,
    servicePort,
    ...(options.warn && { warn: options.warn }),
  });
  const endpoints = await resolveAll(wg, path, options);
  const facts = await upFacts(endpoints.filter((endpoint) => endpoint !== undefined));
  const { creator = ["wgd", "run"] } = options;
  try {
    await apply(name, planUp(name, config.quick, wg, facts), {
      announce: options.announce ?? (() => {}),
      createEcho: `${options.creatorShown ?? creator.join(" ")} ${name}`,
      create: () => create([...creator, name], options.creatorEnv),
      configureEcho: `wg addconf ${name} /dev/fd/63`,
      configure: () => configure(name, path, config, wg, endpoints),
      setFwmark: (fwmark) => setDevice(name, { fwmark, replacePeers: false, peers: [] }),
      signal: options.signal ?? new AbortController().signal,
    });
  } catch (error) {
    await gone(name);
    throw error;
  }
}

/**
 * Takes an interface down as `wg-quick down` does.
 *
 * @param target As for `quickUp`.
 * @throws {QuickError} If there is no such WireGuard interface or a step fails.
 */
export async function quickDown(target: string, options: QuickRunOptions = {}): Promise<void> {
  const { name, config } = await readQuickSource(target, options.warn);
  if (!(await listInterfaces()).includes(name)) {
    throw new QuickError(`\`${name}' is not a WireGuard interface`);
  }
  const facts = await downFacts(name, await getDevice(name));
  await apply(name, planDown(name, config.quick, facts), {
    announce: options.announce ?? (() => {}),
    signal: options.signal ?? new AbortController().signal,
  });
  await gone(name);
}

/**
 * Finds and reads a file: the one of that name if there is one, else the interface's in /etc/wireguard.
 *
 * @throws {QuickError} If there is no such file, or its name is not that of an interface.
 * @throws {ConfigError} If a key of wg-quick's has a value that cannot be used.
 */
export async function readQuickSource(
  target: string,
  warn: (text: string) => void = () => {},
): Promise<QuickSource> {
  const here = await Deno.stat(target).then(({ isDirectory }) => !isDirectory, () => false);
  const path = !here && NAME.test(target) ? `${FOLDER}/${target}.conf` : target;
  const stat = await Deno.stat(path).catch(() => null);
  if (stat === null || stat.isDirectory) {
    throw new QuickError(
      `\`${path}' does not exist`,
      path === target ? undefined : `there is neither a file "${target}" here nor ${path}`,
    );
  }
  const name = /(?:^|\/)([a-zA-Z0-9_=+.-]{1,15})\.conf$/.exec(path)?.[1];
  if (name === undefined) {
    throw new QuickError("The config file must be a valid interface name, followed by .conf");
  }
  const folder = await Deno.stat(path.includes("/") ? path.replace(/\/[^/]*$/, "") || "/" : ".");
  if (stat.isFile && ((stat.mode ?? 0) & (folder.mode ?? 0) & 0o007) !== 0) {
    warn(`Warning: \`${path}' is world accessible`);
  }
  return { name, path, config: parseQuickConfig(await Deno.readTextFile(path), path) };
}

async function resolveAll(
  { peers }: WgConfig,
  path: string,
  { resolve = (endpoint) => resolveEndpoint(endpoint, { retries: RESOLUTION_RETRIES }) }: QuickRunOptions,
): Promise<(SocketAddress | undefined)[]> {
  const endpoints: (SocketAddress | undefined)[] = [];
  for (const { endpoint, endpointLine = 0 } of peers) {
    try {
      endpoints.push(endpoint && await resolve(endpoint));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError(error.message, path, endpointLine, "Endpoint", error.advice);
    }
  }
  return endpoints;
}

async function create(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  const [program, ...args] = command;
  try {
    const { code } = await new Deno.Command(program!, {
      args,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).output();
    if (code !== 0) throw new StepError(command.join(" "), code);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new QuickError(
      `${program}: command not found`,
      "install wgd where programs are looked for (PATH)",
      { cause },
    );
  }
}

async function configure(
  name: string,
  path: string,
  config: QuickConfig,
  wg: WgConfig,
  endpoints: readonly (SocketAddress | undefined)[],
): Promise<void> {
  try {
    await setDevice(name, toChange(wg, endpoints, "add"));
  } catch (cause) {
    if (!(cause instanceof UapiError)) throw cause;
    throw new QuickError("Unable to modify interface", adviceOnRefusal(cause, path, config), { cause });
  }
}

/** Points at the line of the file that asked for what the interface did not take. */
function adviceOnRefusal(
  { errno }: UapiError,
  path: string,
  { wg, wgLines }: QuickConfig,
): string | undefined {
  if (errno !== Errno.EADDRINUSE) return undefined;
  const at = wg.split("\n").findIndex((line) => /^listenport=/i.test(line.replace(/\s/g, "")));
  if (at < 0) return undefined;
  return `${path}:${
    wgLines[at]
  }: ListenPort: another program uses this UDP port; choose another one, or see which it is: ` +
    "ss -lunp";
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Waits until the process behind an interface has cleaned up after itself. */
async function gone(name: string): Promise<void> {
  for (let waited = 0; waited < GONE_TIMEOUT; waited += 10) {
    if (!await exists(`/var/run/wireguard/${name}.sock`)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
