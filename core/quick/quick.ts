/**
 * Bringing interfaces up and down by their files: wg-quick as functions.
 *
 * @module
 */

import type { SocketAddress } from "../config/endpoint.ts";
import type { QuickConfig } from "../config/quick_config.ts";
import type { WgConfig } from "../config/wg_config.ts";
import { getDevice, listInterfaces, setDevice } from "../client/client.ts";
import { toChange } from "../uapi/convert.ts";
import { UapiError } from "../uapi/format.ts";
import { Errno, linkIndex } from "../client/system.ts";
import { adviseMissing } from "./advice.ts";
import { type Actions, apply, applyAll, describe, StepError } from "./apply.ts";
import { disableEnvironment } from "./disable.ts";
import { downFacts, has, upFacts } from "./facts.ts";
import { namedEndpoints, nameEndpoints } from "./endpoint_names.ts";
import { nameOf } from "./interface_name.ts";
import { type Journal, JournalFile, journals } from "./journal.ts";
import { planBegin, planDown, planUndo, planUp, type Step } from "./plan.ts";
import { isOwned } from "./resolv_conf.ts";
import { quickSave } from "./save.ts";
import {
  locate,
  lookUpEndpoints,
  parseSource,
  QuickError,
  type QuickRunOptions,
  type QuickSource,
  readQuickSource,
} from "./source.ts";

export { QuickError, type QuickRunOptions } from "./source.ts";

/** How long that is looked at without a pause, in milliseconds. */
const TIMERLESS = 20;
/** How long the process behind a deleted interface may take to remove its socket. */
const GONE_TIMEOUT = 2_000;
/** How long a process that was told to make an interface may take. */
const START_TIMEOUT = 1_500;

/**
 * Brings an interface up as `wg-quick up` does. What an earlier one of that name left behind when it was killed is taken
 * away first.
 *
 * @example Aloud, as `wg-quick` does it.
 * ```ts ignore
 * import { quickDown, quickUp } from "@wgd/wgd";
 *
 * const announce = (step: string) => console.error(`[#] ${step}`);
 * await quickUp("client.conf", { announce });
 * await quickDown("client.conf", { announce });
 * ```
 *
 * @param target A file `NAME.conf`, or the name of an interface whose file is in /etc/wireguard.
 * @throws {QuickError} If it cannot be done; then nothing is left behind.
 * @throws {FileError} If the file cannot be read.
 * @throws {ConfigError} If the file has a line that cannot be used.
 */
export async function quickUp(target: string, options: QuickRunOptions = {}): Promise<void> {
  const source = await orAborted(readQuickSource(target, options.warn), options.signal);
  const { name, path, config } = source;
  if (linkIndex(name) !== 0) {
    throw new QuickError(`\`${name}' already exists`, `take it down first: wgd quick down ${name}`);
  }
  // Everything that can be wrong with the file is found before the first step, but for names that its own hooks may
  // make known.
  const wg = parseSource(source, options);
  const hooksFirst = config.quick.preUp.length > 0 && !options.dryRun;
  const lookUp = () => orAborted(lookUpEndpoints(wg, source, options), options.signal);
  let endpoints = hooksFirst ? [] : await lookUp();
  const { creator = ["wgd", "run"] } = options;
  const actions: Actions = {
    ...common(options),
    createEcho: `${creator.join(" ")} ${name}`,
    create: () => create(name, creator, disableEnvironment(config.settings.disable), options.create),
    configureEcho: `wg addconf ${name} /dev/fd/63`,
    configure: async () => {
      await configure(source, wg, endpoints);
      await nameEndpoints(name, namedEndpoints(source, wg, options), new Map());
    },
    setFwmark: (fwmark) => setDevice(name, { fwmark, replacePeers: false, peers: [] }),
  };
  const plan = async () => {
    if (hooksFirst) endpoints = await lookUp();
    return planUp(name, config.quick, wg, await upFacts(config.quick, wg, endpoints));
  };
  if (options.dryRun) return announceAll(name, await plan(), actions);
  // Without it nothing could be taken back either.
  if (!await has("ip")) throw new QuickError("ip: command not found", adviseMissing("ip"));
  using file = await openJournal(name);
  const left = await file.read();
  if (left) await repair(file, left, actions);
  const { preDown, postDown, saveConfig } = config.quick;
  const journal: Journal = {
    name,
    file: await Deno.realPath(path),
    since: new Date().toISOString(),
    index: 0,
    complete: false,
    quick: { preDown, postDown, saveConfig },
    steps: [],
  };
  const record = async (begun: Step | undefined, done: Step | undefined) => {
    if (done) journal.steps.push(done);
    if (done?.kind === "create") journal.index = linkIndex(name);
    delete journal.pending;
    if (begun) journal.pending = begun;
    else journal.complete = true;
    await file.write(journal);
  };
  // The system is asked while the interface's process starts, or after the hooks that may change its answers.
  const steps = async function* () {
    const planned = hooksFirst ? undefined : plan();
    planned?.catch(() => {});
    const begin = planBegin(name, config.quick);
    yield* begin;
    yield* (await (planned ?? plan())).slice(begin.length);
  };
  try {
    await apply(name, steps(), { ...actions, record });
  } catch (error) {
    await gone(name);
    await file.remove();
    throw error;
  }
}

/**
 * Takes an interface down as `wg-quick down` does: undoes what `quickUp` has done, and, of an interface that `wg-quick`
 * brought up, what the file says.
 *
 * @example What would be done?
 * ```ts ignore
 * import { quickDown } from "@wgd/wgd";
 *
 * await quickDown("wg0", { announce: console.log, dryRun: true });
 * ```
 *
 * @param target As for `quickUp`; of an interface that `quickUp` brought up, the file need not be there any more.
 * @throws {QuickError} If there is no such WireGuard interface or a step fails.
 */
export async function quickDown(target: string, options: QuickRunOptions = {}): Promise<void> {
  const { name, path } = await locate(target, options.warn).catch((error) => {
    const name = nameOf(target);
    if (!(error instanceof QuickError) || name === undefined) throw error;
    return { name, path: undefined };
  });
  const actions: Actions = {
    ...common(options),
    save: async () => {
      if (path !== undefined) return await quickSave(path);
      options.warn?.(`Warning: not saved: the file of ${name} is gone`);
    },
  };
  using file = await openJournal(name);
  const journal = await file.read();
  const index = linkIndex(name);
  if (journal && index !== 0 && index === journal.index) {
    const steps = leftSteps(journal, true);
    if (options.dryRun) return announceAll(name, steps, actions);
    await passOn(journal);
    try {
      return await apply(name, steps, actions);
    } finally {
      await gone(name);
      // Hooks may fail after all that is on record has been undone.
      if (linkIndex(name) === 0) await file.remove();
    }
  }
  // Another one of that name is there: the hooks are now for that one.
  const left = journal && index !== 0 ? { ...journal, complete: false } : journal;
  if (left && options.dryRun) announceAll(name, leftSteps(left), actions);
  else if (left) await repair(file, left, actions);
  if (left && index === 0) return;
  const { config } = await readQuickSource(target, () => {});
  if (!(await listInterfaces()).includes(name)) {
    throw new QuickError(`\`${name}' is not a WireGuard interface`);
  }
  const steps = planDown(name, config.quick, await downFacts(name, await getDevice(name)));
  if (options.dryRun) return announceAll(name, steps, actions);
  await apply(name, steps, actions);
  await gone(name);
}

/** What all work on an interface has. */
export function common({ announce = () => {}, warn = () => {}, signal }: QuickRunOptions): Actions {
  return { announce, warn, signal: signal ?? new AbortController().signal };
}

/** Says what would be done, and what programs would read. */
export function announceAll(name: string, steps: readonly Step[], actions: Actions): void {
  for (const step of steps) {
    const { echo, input = "" } = describe(name, step, actions);
    actions.announce(echo);
    for (const line of input.split("\n").filter(Boolean)) actions.announce(`    ${line}`);
  }
}

/**
 * Opens the record of an interface, for one at a time.
 *
 * @throws {QuickError} If another process is at work on it.
 */
export async function openJournal(name: string): Promise<JournalFile> {
  const file = await JournalFile.open(name);
  if (file) return file;
  throw new QuickError(
    `another "wgd quick" is at work on \`${name}'`,
    "wait for it; if a hook calls wgd quick for its own interface, take that out",
  );
}

/** Takes away what an interface left whose process was killed. */
async function repair(file: JournalFile, journal: Journal, actions: Actions): Promise<void> {
  const { name } = journal;
  actions.warn(`${name} has ended without "wgd quick down"; taking away what is left of it`);
  await passOn(journal);
  // Killed while it made the interface: the process behind that may be on its way still.
  const late = journal.pending?.kind === "create" && await appears(name);
  await applyAll(name, leftSteps(journal, late), actions);
  if (late) await gone(name);
  await file.remove();
}

function leftSteps({ name, steps, pending, quick, complete }: Journal, exists = false): Step[] {
  return planUndo(name, pending ? [...steps, pending] : steps, quick, { complete, exists });
}

/** Waits for an interface that may be about to come into being. */
async function appears(name: string): Promise<boolean> {
  for (let waited = 0; waited < START_TIMEOUT; waited += 20) {
    if (linkIndex(name) !== 0) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

/** Of two interfaces that replaced /etc/resolv.conf in turn, the later one brings back what was before the first. */
async function passOn({ name, steps }: Journal): Promise<void> {
  const mine = steps.find((step) => step.kind === "resolv-conf")?.undo;
  if (mine?.kind !== "resolv-conf") return;
  for (const other of await journals()) {
    const index = other.steps.findIndex((step) =>
      step.kind === "resolv-conf" && step.undo?.kind === "resolv-conf" && isOwned(step.undo.content, name)
    );
    if (index < 0) continue;
    using file = await JournalFile.open(other.name);
    const step = other.steps[index] as Step & { kind: "resolv-conf" };
    other.steps[index] = { ...step, undo: { ...mine, owner: other.name } };
    await file?.write(other);
  }
}

/** Waits for what has changed nothing yet: a pipe, a name server. Aborting leaves it behind. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function create(
  name: string,
  creator: readonly string[],
  env: Readonly<Record<string, string>>,
  start: NonNullable<QuickRunOptions["create"]> = () => call([...creator, name], env),
): Promise<void> {
  try {
    const code = await start(name, env);
    if (code !== 0) throw new StepError(creator.join(" "), code);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new QuickError(
      `${creator[0]}: command not found`,
      "install wgd where programs are looked for (PATH)",
      { cause },
    );
  }
}

async function call(
  [program, ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const streams = { stdin: "null", stdout: "null", stderr: "inherit" } as const;
  return (await new Deno.Command(program!, { args, env, ...streams }).output()).code;
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

/** Waits until the process behind an interface has cleaned up after itself. */
async function gone(name: string): Promise<void> {
  const start = performance.now();
  for (let waited = 0; waited < GONE_TIMEOUT; waited = performance.now() - start) {
    if (!await Deno.lstat(`/var/run/wireguard/${name}.sock`).catch(() => null)) return;
    // Most need a few milliseconds, and a program's first timer takes Deno twenty.
    if (waited > TIMERLESS) await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
