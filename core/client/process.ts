/**
 * The process of an interface, as seen from other processes.
 *
 * @module
 */

import { listeningProcess } from "../../ffi/linux/peer_credentials.ts";
import { Errno } from "../uapi/errno.ts";
import { socketPath } from "../uapi/socket_path.ts";
import { namespaceOf } from "./network_namespace.ts";
import { errnoOf } from "./system.ts";

/** A process. Its start time distinguishes it from a later process with the same PID. */
export interface Process {
  readonly pid: number;
  /** In clock ticks since the machine's boot (proc_pid_stat(5)). */
  readonly startTime: number;
}

/** Milliseconds that a process has to end after SIGTERM, and again after SIGKILL. */
const END_TIMEOUT = 3_000;
const KILL_TIMEOUT = 1_000;

/** The process that listens on an interface's control socket; undefined if we can see none. */
export function interfaceProcess(name: string): Process | undefined {
  const pid = listeningProcess(socketPath(name));
  if (pid === undefined) return undefined;
  // wireguard-go passes its socket to a child and exits.
  return processOf(pid) ?? tunHolder(name);
}

/** Whether a process listens on an interface's control socket. */
export function isAnswered(name: string): boolean {
  return listeningProcess(socketPath(name)) !== undefined;
}

/** The process of our network namespace that holds a TUN interface of this name. */
function tunHolder(name: string): Process | undefined {
  for (const { name: number } of Deno.readDirSync("/proc")) {
    const pid = Number(number);
    if (!pid || namespaceOf(pid) !== namespaceOf() || !tunNames({ pid })?.includes(name)) continue;
    return processOf(pid);
  }
  return undefined;
}

/** A process by its number; undefined if it has ended. */
export function processOf(pid: number): Process | undefined {
  const startTime = startOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

/** Whether a process has not ended. */
export function isRunning({ pid, startTime }: Process): boolean {
  return startOf(pid) === startTime;
}

/** Ends a process with SIGTERM, and with SIGKILL if it does not end. @returns Whether it has ended. */
export async function endProcess(process: Process): Promise<boolean> {
  for (const [signal, timeout] of [["SIGTERM", END_TIMEOUT], ["SIGKILL", KILL_TIMEOUT]] as const) {
    if (!isRunning(process)) return true;
    try {
      Deno.kill(process.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const start = performance.now();
    while (isRunning(process) && performance.now() - start < timeout) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  return !isRunning(process);
}

/**
 * The names of the TUN interfaces that a process holds; an empty one for each that was deleted.
 *
 * @returns Undefined if it has ended, or access is denied.
 */
export function tunNames({ pid }: Pick<Process, "pid">): string[] | undefined {
  const folder = `/proc/${pid}/fdinfo`;
  const names: string[] = [];
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      // In the form of tun.c (tun_chr_show_fdinfo).
      const line = /^iff:\t(.*)$/m.exec(readIfThere(`${folder}/${name}`) ?? "");
      if (line) names.push(line[1]!);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
      throw error;
    }
    return undefined;
  }
  return names;
}

/** When a process started; undefined if it has ended. A zombie has ended. */
function startOf(pid: number): number | undefined {
  // After the name, which may contain spaces and parentheses, come the state and 18 more fields.
  const fields = readIfThere(`/proc/${pid}/stat`)?.replace(/^.*\) /s, "").split(" ");
  return !fields || /^[ZX]/.test(fields[0]!) ? undefined : Number(fields[19]);
}

/** Reads a file about a process; undefined if the process or its descriptor is gone, possibly during the read. */
function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || errnoOf(error) === Errno.ESRCH) return undefined;
    throw error;
  }
}
