/**
 * Namespaces for programs whose only network is a tunnel, without privileges. The tunnel's datagrams use sockets of
 * this process, outside of the namespaces, because a socket stays in the namespace in which it was made.
 *
 * @module
 */

import { makeLine } from "../../ffi/linux/control_line.ts";
import { close } from "../../ffi/linux/libc.ts";
import { preparedProxyFolder, proxySocket } from "../client/proxy_sockets.ts";
import { Errno } from "../client/system.ts";
import { type Feature, FeatureError } from "../config/features.ts";
import { nameOfFile } from "../config/interface_name.ts";
import { formatKey } from "../config/key.ts";
import type { LaneCount } from "../config/lanes.ts";
import type { Settings } from "../config/settings.ts";
import type { WgConfig } from "../config/wg_config.ts";
import type { Log } from "../log.ts";
import { endpointTexts } from "../quick/endpoint_names.ts";
import { has, upFacts } from "../quick/facts.ts";
import { ownProcess } from "../quick/process_environment.ts";
import {
  findFile,
  lookUpEndpoints,
  parseSource,
  QuickError,
  type QuickRunOptions,
  type QuickSource,
  readQuickSource,
  type SourceConfig,
} from "../quick/source.ts";
import { adviseMissing } from "../quick/advice.ts";
import { loadEngine, Tunnel } from "../tunnel/start.ts";
import { toChange } from "../uapi/convert.ts";
import { UapiError } from "../uapi/lines.ts";
import { ControlClient } from "./control.ts";
import { EnclosedShell, EnclosureError } from "./enclosed_shell.ts";
import { explainForbidden, namespaceFacts } from "./forbidden.ts";
import { addressing, plannedMtu, RESOLVER_FOLDERS, type ScriptFacts, setupScript, STAGES } from "./script.ts";

/** Options of an enclosure. */
export interface EnclosureOptions extends Pick<QuickRunOptions, "warn" | "resolve" | "resolveEndpoints"> {
  readonly log?: Log;
}

/** The name of the interface if the file's name is not valid for one. */
const NAME = "wg0";
const TUN = "/dev/net/tun";
/** The programs that are called. All are in util-linux, except `ip`. */
const PROGRAMS = ["unshare", "nsenter", "setpriv", "mount", "ip"];
/** linux/capability.h */
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

/** Namespaces with a tunnel. */
export class Enclosure implements AsyncDisposable {
  readonly #parts: AsyncDisposableStack;
  readonly #shell: EnclosedShell;

  private constructor(
    parts: AsyncDisposableStack,
    shell: EnclosedShell,
    /** Resolves with the reason when the tunnel has ended. */
    readonly stopped: Promise<string>,
  ) {
    this.#parts = parts;
    this.#shell = shell;
  }

  /**
   * Makes the namespaces, and the tunnel of a configuration file in them.
   *
   * @param target A file, or the name of an interface whose file is in /etc/wireguard.
   * @throws {QuickError} If that is not possible or not permitted. Nothing is left behind then.
   * @throws {FileError} If the file cannot be read.
   * @throws {ConfigError} If the file has an invalid line.
   */
  static async open(target: string, options: EnclosureOptions = {}): Promise<Enclosure> {
    const { warn = () => {} } = options;
    const path = await findFile(target);
    const source = await readQuickSource(path, { warn, interfaceName: nameOfFile(path) ?? NAME });
    const { name, config: { quick } } = source;
    const parsed = await parseSource(source, { warn });
    const { fwmark: _, ...wg } = parsed;
    for (const line of passedOver(source, parsed)) warn(`Warning: ${line}`);
    if (quick.address.length === 0) {
      throw new QuickError(
        `\`${path}' has no Address`,
        "the program needs an address in the tunnel, as Address = 10.0.0.2/32 in [Interface]",
      );
    }
    const process = processSettings(source.config.settings);
    await requirePrograms();

    await using made = new AsyncDisposableStack();
    // Begun first, because it takes longest to load.
    const worker = loadEngine(name);
    const idle = made.adopt(worker, (worker) => worker.terminate());
    const folder = preparedProxyFolder(warn);
    const shell = made.adopt(EnclosedShell.start(!isPowerful()), (shell) => shell.close());
    await shell.made().catch(asQuickError);
    // Checked first, because the shell would make a file if the device is missing.
    requireTun();
    using descriptors = new Descriptors();
    const tun = descriptors.add(await shell.takeTun().catch(asQuickError));
    const endpoints = await lookUpEndpoints(wg.peers, source, options);
    const { routeMtus } = await upFacts({ ...quick, dns: [] }, { ...wg, peers: [] }, endpoints);
    const calls = addressing(name, quick, wg, { routeMtus });
    const line = makeLine();
    const control = made.adopt(new ControlClient(line.asking), (control) => control.close());
    descriptors.add(line.answering);
    const tunnel = made.use(
      await Tunnel.start(name, {
        ...process,
        log: options.log ?? (() => {}),
        enclosure: {
          tun: descriptors.take(tun),
          mtu: plannedMtu(calls),
          control: descriptors.take(line.answering),
          socketPath: folder && proxySocket(folder, name),
        },
        tell: (change) => control.tell(change),
      }, idle),
    );
    await configure(source, wg, endpoints, control, options);
    const facts = await scriptFacts(routeMtus);
    if (quick.dns.length > 0 && facts.resolvConf === undefined) {
      warn("Warning: there is no /etc/resolv.conf, so the file's DNS servers are not used");
    }
    await shell.run(setupScript(name, quick, calls, facts), "the tunnel's addresses and routes cannot be set")
      .catch(asQuickError);
    return new Enclosure(made.move(), shell, tunnel.stopped);
  }

  /** The command that starts a program inside, in the current folder. The program is killed when this process ends. */
  enter(command: readonly string[]): string[] {
    return this.#shell.enter(["env", `--chdir=${Deno.cwd()}`, "--", ...command]);
  }

  /** Ends the tunnel. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]();
  }
}

/** Descriptors that have no other owner yet. */
class Descriptors implements Disposable {
  readonly #open = new Set<number>();

  add(fd: number): number {
    this.#open.add(fd);
    return fd;
  }

  /** The new owner closes it. */
  take(fd: number): number {
    this.#open.delete(fd);
    return fd;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open) close(fd);
  }
}

/** Sends keys and peers to the engine. */
async function configure(
  source: QuickSource,
  wg: SourceConfig,
  endpoints: Awaited<ReturnType<typeof lookUpEndpoints>>,
  control: ControlClient,
  options: EnclosureOptions,
): Promise<void> {
  const change = toChange(wg as WgConfig, endpoints, "set");
  const texts = endpointTexts(source, wg.peers, options);
  for (const peer of change.peers) {
    const text = texts.get(formatKey(peer.publicKey));
    if (text !== undefined) peer.endpointName = text;
  }
  try {
    await control.tell(change);
  } catch (cause) {
    if (!(cause instanceof UapiError)) throw cause;
    const taken = cause.errno === Errno.EADDRINUSE;
    throw new QuickError(
      taken ? `UDP port ${wg.listenPort} is in use` : "the tunnel refused its configuration",
      taken ? "remove ListenPort from the file, or choose another port" : undefined,
      { cause },
    );
  }
}

/** The settings of the environment and the file for the interface itself, as `wgd quick` passes them to `wgd run`. */
function processSettings(settings: Settings): { disable: Feature[]; lanes?: LaneCount } {
  try {
    return ownProcess(settings);
  } catch (error) {
    if (!(error instanceof FeatureError)) throw error;
    throw new QuickError(error.message, error.hint);
  }
}

/** Lists the settings of a file that have no effect. */
function passedOver({ path, config: { quick } }: QuickSource, { fwmark }: SourceConfig): string[] {
  const lines: [key: string, there: boolean][] = [
    ["PreUp", quick.preUp.length > 0],
    ["PostUp", quick.postUp.length > 0],
    ["PreDown", quick.preDown.length > 0],
    ["PostDown", quick.postDown.length > 0],
    ["Table", quick.table !== undefined],
    ["SaveConfig", quick.saveConfig],
    ["FwMark", !!fwmark],
  ];
  return lines.filter(([, there]) => there).map(([key]) => `${path}: ${key} has no effect in wgd exec`);
}

async function requirePrograms(): Promise<void> {
  for (const program of PROGRAMS) {
    if (await has(program) || await Deno.stat(`/usr/sbin/${program}`).then(() => true, () => false)) continue;
    throw new QuickError(`${program}: command not found`, adviseMissing(program));
  }
}

function requireTun(): void {
  try {
    Deno.openSync(TUN, { read: true, write: true }).close();
  } catch (cause) {
    const missing = cause instanceof Deno.errors.NotFound;
    throw new QuickError(
      missing ? `there is no ${TUN}` : `${TUN} cannot be opened: ${(cause as Error).message}`,
      missing
        ? "load the kernel's tun module (modprobe tun), or give the container the device (--device /dev/net/tun)"
        : `allow all users to open it, as most systems do (as root): chmod 0666 ${TUN}`,
      { cause },
    );
  }
}

/** Whether this process has the capabilities to make namespaces and interfaces. */
function isPowerful(): boolean {
  const status = Deno.readTextFileSync("/proc/self/status");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return Deno.uid() === 0 && [CAP_NET_ADMIN, CAP_SYS_ADMIN].every((bit) => (effective >> bit & 1n) === 1n);
}

async function scriptFacts(routeMtus: readonly number[]): Promise<ScriptFacts> {
  const real = (path: string) => Deno.realPath(path).catch(() => undefined);
  const isFolder = (path: string) => Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
  const resolvers = await Promise.all(RESOLVER_FOLDERS.map(real));
  const resolvConf = await real("/etc/resolv.conf");
  const stages = await Promise.all(
    STAGES.map(async (folder) => await isFolder(folder) && !resolvConf?.startsWith(`${folder}/`)),
  );
  return {
    routeMtus,
    resolvConf,
    resolvers: [...new Set(resolvers.filter((folder) => folder !== undefined))],
    stage: STAGES.find((_, index) => stages[index]) ?? STAGES[0]!,
    group: Deno.gid()!,
  };
}

/** Adds what forbids the namespaces. */
function asQuickError(error: unknown): never {
  if (!(error instanceof EnclosureError)) throw error;
  const { message, complaint } = error;
  if (!/^unshare:/m.test(complaint)) {
    throw new QuickError(`${message}: ${complaint}`, undefined, { cause: error });
  }
  const { cause, remedy } = explainForbidden(namespaceFacts(), complaint) ?? { cause: complaint };
  throw new QuickError(`${message}: ${cause}`, remedy, { cause: error });
}
