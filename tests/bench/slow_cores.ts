/**
 * Simulates slow cores on fast ones, to measure how a program uses more cores than this machine has. Every thread of a
 * process may use a fifth of a processor (less if there are too many threads for this machine), and the whole process N
 * times that, so that N threads run on N slow cores. Only ratios between programs with the same limits are meaningful.
 *
 * A separate process (this module, run as a program) keeps the limits until its standard input closes. So they are
 * removed however a benchmark ends. It needs root and the cpu controller of cgroup v1.
 *
 * @module
 */

import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

/** The largest fraction of a processor that a slow core has. */
const MAX_SHARE = 0.2;
/** The fraction of all processors for two daemons. The rest is for the traffic. */
const PART = 0.8;
/** A slower core would pause for longer than packets take. */
const MIN_SHARE = 0.05;
const ROOT = "/sys/fs/cgroup/cpu";
/**
 * What a thread may use at a time, in microseconds: the least that the kernel takes for a quota
 * (kernel/sched/core.c, min_cfs_quota_period), so that no thread stands still for long.
 */
const QUOTA = 1_000;
/** Milliseconds between two checks for new threads. A new thread begins within its creator's limit. */
const CHECK_INTERVAL = 50;
/** Attempts to remove the groups at the end: two seconds. */
const ATTEMPTS = 40;
const GROUP = "wgd-bench-";

/** The fraction of a processor that a slow core has, if each of two daemons has this many. */
export function shareOf(cores: number): number {
  return Math.min(MAX_SHARE, PART * availableParallelism() / (2 * cores));
}

/** Limits on processes, until they are disposed of. */
export class SlowCores implements AsyncDisposable {
  private constructor(readonly process: Deno.ChildProcess) {}

  /**
   * What this machine lacks for slow cores, as a text; undefined if it supports them.
   *
   * @param cores The slow cores of each of two daemons.
   */
  static async lacks(cores: number): Promise<string | undefined> {
    const found = await Deno.stat(`${ROOT}/tasks`).catch(() => undefined);
    if (found === undefined) {
      return `slow cores need the cpu controller of cgroup v1 at ${ROOT}, which is not here (cgroup v2 is not supported)`;
    }
    if (shareOf(cores) < MIN_SHARE) return `this machine is too small for ${cores} slow cores a side`;
    return undefined;
  }

  /**
   * Gives each process this many slow cores.
   *
   * @param pids Their PIDs in our own namespace.
   */
  static async hold(pids: readonly number[], cores: number): Promise<SlowCores> {
    const words = ["run", "--quiet", "--no-check", "--allow-all", fileURLToPath(import.meta.url)];
    const process = new Deno.Command(Deno.execPath(), {
      args: [...words, String(cores), ...pids.map(String)],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = process.stdout.getReader();
    const { done } = await reader.read();
    await reader.cancel();
    if (done) throw new Error(`the processes ${pids.join(" and ")} cannot be given slow cores`);
    return new SlowCores(process);
  }

  /** Removes the limits. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stdin.close();
    await this.process.status;
  }
}

/** The control groups of some processes: one for each of them, and in it one for each thread. */
class Groups {
  /** Each thread's group. */
  readonly #held = new Map<number, string>();

  constructor(readonly pids: readonly number[], readonly cores: number) {}

  /** Puts new threads into their own groups. */
  assign(): void {
    for (const pid of this.pids) {
      const whole = `${ROOT}/${GROUP}${pid}`;
      for (const thread of threadsOf(pid)) {
        if (this.#held.has(thread)) continue;
        const own = `${whole}/${thread}`;
        try {
          const share = shareOf(this.cores);
          makeGroup(whole, share, this.cores);
          makeGroup(own, share, 1);
          Deno.writeTextFileSync(`${own}/tasks`, String(thread));
          this.#held.set(thread, own);
        } catch (error) {
          // ESRCH: the thread has ended meanwhile.
          removeGroup(own);
          if (!hasEnded(pid, thread)) throw error;
        }
      }
    }
  }

  /** Returns all threads to the root group, and removes the groups. */
  async release(): Promise<void> {
    for (const thread of this.#held.keys()) {
      try {
        Deno.writeTextFileSync(`${ROOT}/tasks`, String(thread));
      } catch {
        // It has ended.
      }
    }
    const groups = [...this.#held.values(), ...this.pids.map((pid) => `${ROOT}/${GROUP}${pid}`)];
    // A process that is being killed holds its group until its last thread has ended.
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (groups.map(removeGroup).every((gone) => gone)) return;
      await new Promise((resolve) => setTimeout(resolve, CHECK_INTERVAL));
    }
  }
}

function threadsOf(pid: number): number[] {
  try {
    return Array.from(Deno.readDirSync(`/proc/${pid}/task`), ({ name }) => Number(name));
  } catch {
    // The process has ended.
    return [];
  }
}

function hasEnded(pid: number, thread: number): boolean {
  return !threadsOf(pid).includes(thread);
}

function makeGroup(path: string, share: number, cores: number): void {
  Deno.mkdirSync(path, { recursive: true });
  Deno.writeTextFileSync(`${path}/cpu.cfs_period_us`, String(Math.round(QUOTA / share)));
  Deno.writeTextFileSync(`${path}/cpu.cfs_quota_us`, String(QUOTA * cores));
}

/** @returns Whether it was removed. Threads may still be in it. */
function removeGroup(path: string): boolean {
  try {
    Deno.removeSync(path);
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** Removes groups of processes that have ended. */
function sweep(): void {
  for (const { name } of Deno.readDirSync(ROOT)) {
    if (!name.startsWith(GROUP) || threadsOf(Number(name.slice(GROUP.length))).length > 0) continue;
    for (const { name: thread, isDirectory } of Deno.readDirSync(`${ROOT}/${name}`)) {
      if (isDirectory) removeGroup(`${ROOT}/${name}/${thread}`);
    }
    removeGroup(`${ROOT}/${name}`);
  }
}

async function main([cores, ...pids]: readonly string[]): Promise<void> {
  // Ctrl-C reaches all processes of the terminal. The end of our standard input ends this process.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  sweep();
  const groups = new Groups(pids.map(Number), Number(cores));
  try {
    groups.assign();
    console.log("ready");
    const timer = setInterval(() => groups.assign(), CHECK_INTERVAL);
    for await (const _ of Deno.stdin.readable);
    clearInterval(timer);
  } finally {
    await groups.release();
  }
}

if (import.meta.main) await main(Deno.args);
