/**
 * Brings an interface up by its file: `wg-quick up`.
 *
 * @module
 */

import type { SocketAddress } from "../config/endpoint.ts";
import type { QuickConfig } from "../config/quick_config.ts";
import type { WgConfig } from "../config/wg_config.ts";
import { setDevice } from "../client/devices.ts";
import { listInterfaces } from "../client/listing.ts";
import { toChange } from "../uapi/convert.ts";
import { UapiError } from "../uapi/lines.ts";
import { interfaceProcess } from "../client/process.ts";
import { Errno, linkIndex } from "../client/system.ts";
import { adviseMissing } from "./advice.ts";
import { InterfaceMaker } from "./backend.ts";
import { hintAtNames, namedEndpoints, nameEndpoints, tellAddresses } from "./endpoint_names.ts";
import { findInterface, whereabouts } from "./find_interface.ts";
import { has, upFacts } from "./facts.ts";
import { hookEnvironment } from "./hook_environment.ts";
import { type Journal, type JournalFile, openJournal } from "./journal.ts";
import type { Step } from "./plan/step.ts";
import { planBegin, planRest } from "./plan/up.ts";
import { handOverResolvConf, Restoration } from "./original_resolv_conf.ts";
import { remember } from "./remember.ts";
import { startRepair } from "./repair.ts";
import { removeRemains, waitForEnd } from "./remains.ts";
import { routeWarnings } from "./route_warnings.ts";
import { type Actions, announceSteps, baseActions, runSteps } from "./run_steps.ts";
import {
  lookUpEndpoints,
  parseSource,
  QuickError,
  type QuickRunOptions,
  type QuickSource,
  readQuickSource,
  type SourceConfig,
} from "./source.ts";

/**
 * Brings an interface up as `wg-quick up` does. If the process of an earlier interface with that name was killed, its
 * remains are undone first.
 *
 * @example With its steps on standard error, as `wg-quick` does it.
 * ```ts ignore
 * import { quickDown, quickUp } from "@wgd/wgd";
 *
 * const announce = (step: string) => console.error(`[#] ${step}`);
 * await quickUp("client.conf", { announce });
 * await quickDown("client.conf", { announce });
 * ```
 *
 * @param target A file `NAME.conf`, or the name of an interface whose file is in /etc/wireguard.
 * @throws {QuickError} If the interface cannot be brought up. Nothing is left behind then.
 * @throws {FileError} If the file cannot be read.
 * @throws {ConfigError} If the file has an invalid line.
 */
export async function quickUp(target: string, options: QuickRunOptions = {}): Promise<void> {
  const { name, config: { settings } } = await bringUp(target, options);
  if (settings.repair && !options.dryRun) await startRepair(name, options);
}

async function bringUp(target: string, options: QuickRunOptions): Promise<QuickSource> {
  const source = await orAborted(readQuickSource(target, options), options.signal);
  const { name } = source;
  if (linkIndex(name) !== 0) {
    throw new QuickError(`\`${name}' already exists`, await adviseTaken(name));
  }
  // Errors in the file are reported before the first step.
  const wg = await parseSource(source, options);
  const up = await Up.prepare(source, wg, options);
  if (options.dryRun) {
    await announceSteps(name, up.steps(), up.actions);
    return source;
  }
  // Without `ip` nothing can be undone either.
  if (!await has("ip")) throw new QuickError("ip: command not found", adviseMissing("ip"));
  using file = await openJournal(name);
  const left = await file.read();
  const runs = left && await findInterface(left);
  if (runs) {
    const where = [whereabouts(runs, name), `take it down first: wgd quick down ${name}`];
    throw new QuickError(`\`${name}' already exists`, where.filter(Boolean).join("; "));
  }
  if (left) {
    const ofLeft = () => hookEnvironment(left, options.self);
    await removeRemains(file, left, { ...up.actions, hookEnvironment: ofLeft });
  }
  const journal = await newJournal(source);
  const restoration = new Restoration();
  const actions = restoration.watch({
    ...up.actions,
    record: recorder(file, journal, up.maker),
    hookEnvironment: () => hookEnvironment(journal, options.self),
  });
  try {
    await runSteps(name, up.steps(), actions);
  } catch (error) {
    await waitForEnd(name, journal.process);
    // If the other interface's record stays locked for long, this one's stays.
    const left = await handOverResolvConf(journal).then(() => restoration.finish(file, journal), quickError);
    if (left) options.warn?.(`${left.message}\nhint: ${left.hint}`);
    throw error;
  }
  const remembered = await remember(source, wg, namedEndpoints(source, wg, options), journal);
  await file.write({ ...journal, remembered });
  return source;
}

function quickError(error: unknown): QuickError {
  if (error instanceof QuickError) return error;
  throw error;
}

/** One run of `up`: its steps, and the values that they need. */
class Up {
  readonly actions: Actions;
  readonly maker: InterfaceMaker;
  /** The addresses of the peers' endpoints; undefined until they are looked up. */
  #endpoints: readonly (SocketAddress | undefined)[] | undefined;

  private constructor(
    readonly source: QuickSource,
    readonly wg: SourceConfig,
    readonly options: QuickRunOptions,
  ) {
    const { name } = source;
    this.maker = new InterfaceMaker(source, options);
    this.actions = {
      ...baseActions(options),
      createEcho: this.maker.echo,
      create: () => this.maker.make(),
      configureEcho: `wg addconf ${name} /dev/fd/63`,
      configure: async () => {
        await configure(source, wg, this.#endpoints ?? []);
        await this.#nameEndpoints();
      },
      setFwmark: (fwmark) => setDevice(name, { fwmark, replacePeers: false, peers: [] }),
    };
  }

  /** Sends the interface the names to look up again, or warns that the kernel's WireGuard does not look names up. */
  async #nameEndpoints(): Promise<void> {
    const { source: { name }, maker, options } = this;
    const names = namedEndpoints(this.source, this.wg, options);
    if (maker.made !== "kernel") {
      await tellAddresses(this.source, this.wg, options);
      return await nameEndpoints(name, names);
    }
    if (maker.isKernelByDefault && names.size > 0) options.warn?.(hintAtNames([...names.values()]));
  }

  /** Looks up the endpoints, unless PreUp hooks come first, because these may start what the lookup needs. */
  static async prepare(source: QuickSource, wg: SourceConfig, options: QuickRunOptions): Promise<Up> {
    const up = new Up(source, wg, options);
    if (source.config.quick.preUp.length === 0) await up.#lookUp();
    return up;
  }

  async #lookUp(): Promise<readonly (SocketAddress | undefined)[]> {
    const { source, wg, options } = this;
    return this.#endpoints = await orAborted(lookUpEndpoints(wg.peers, source, options), options.signal);
  }

  /** All steps in order. The later ones depend on the system, which PreUp hooks may change. */
  async *steps(): AsyncGenerator<Step, void> {
    const { source: { name, config: { quick } }, wg } = this;
    // The facts are read while the interface's process starts.
    const early = this.#endpoints && upFacts(quick, wg, this.#endpoints);
    early?.catch(() => {});
    yield* planBegin(name, quick);
    const facts = await (early ?? upFacts(quick, wg, await this.#lookUp()));
    const warnings = await routeWarnings(this.source, wg, this.#endpoints ?? [], facts);
    for (const warning of warnings) this.actions.warn(`Warning: ${warning}`);
    yield* planRest(name, quick, wg, facts);
  }
}

/** What to do about an existing interface of the same name. */
async function adviseTaken(name: string): Promise<string> {
  if ((await listInterfaces()).includes(name)) return `take it down first: wgd quick down ${name}`;
  return `it is not a WireGuard interface (see: ip -d link show ${name}); delete it, or bring this one up under ` +
    "another name: --interface NAME";
}

/** The record of an interface before the first step. */
async function newJournal({ name, path, config }: QuickSource): Promise<Journal> {
  const { preDown, postDown, saveConfig } = config.quick;
  return {
    name,
    file: await Deno.realPath(path),
    since: new Date().toISOString(),
    index: 0,
    complete: false,
    quick: { preDown, postDown, saveConfig },
    steps: [],
  };
}

/** Records all steps before they are done. */
function recorder(
  file: JournalFile,
  journal: Journal,
  maker: InterfaceMaker,
): NonNullable<Actions["record"]> {
  return async (begun, done) => {
    journal.steps.push(...done);
    if (done.some(({ kind }) => kind === "create")) {
      journal.index = linkIndex(journal.name);
      if (maker.made) journal.backend = maker.made;
      const process = maker.made === "kernel" ? undefined : interfaceProcess(journal.name);
      if (process) journal.process = process;
    }
    delete journal.pending;
    if (begun.length > 0) journal.pending = begun;
    else journal.complete = true;
    await file.write(journal);
  };
}

/** Waits for something without side effects, such as a pipe or a name server. Aborting stops only the wait. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function configure(
  { name, path, config }: QuickSource,
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

/** Names the line of the file whose value the interface refused. */
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
