/**
 * The interfaces that `wgd quick` has brought up, and whether they match their files.
 *
 * @module
 */

import { ConfigError } from "../config/config_error.ts";
import { ValueError } from "../config/values.ts";
import { FileError } from "../file_error.ts";
import type { InterfaceBackend } from "../config/backend.ts";
import { diagnoseDevice } from "../client/devices.ts";
import { resolveEndpoint } from "../client/resolve.ts";
import { compare } from "./comparison.ts";
import { findInterface, whereabouts } from "./find_interface.ts";
import { type Journal, journals } from "./journal.ts";
import type { Difference } from "./plan/differences.ts";
import { describeWgChange } from "./reload.ts";
import { describeRepairChange, type RepairState, repairState } from "./repair.ts";
import { type Actions, describe } from "./run_steps.ts";
import { QuickError, readQuickSource } from "./source.ts";
import { findTarget } from "./target.ts";

/** One interface. */
export interface QuickStatus {
  /** Its name. */
  readonly name: string;
  /** Its configuration file. */
  readonly file: string;
  /** The time of `up`, as ISO 8601 in UTC. */
  readonly since: string;
  /** `up`; `unfinished` while `up` is running or after it was killed; `dead` if the interface ended without `down`. */
  readonly state: "up" | "unfinished" | "dead";
  /** The implementation that runs it or ran it: the kernel, a wgd process, or a process of another program. */
  readonly backend: InterfaceBackend;
  /** A sentence with its location and name; absent if it is where `quickUp` made it. */
  readonly where?: string;
  /** The state of its repair; absent if its file did not turn it on when it was last applied. */
  readonly repair?: RepairState;
  /** What other programs have changed, in one sentence each. Absent if it is not up. */
  readonly differences?: readonly Difference[];
  /** What `quickReload` would do; empty if the interface matches its file. Absent if it is not up. */
  readonly changes?: readonly string[];
  /** Why the file cannot be compared. */
  readonly problem?: string;
}

/**
 * Lists all interfaces that `quickUp` brought up in this network namespace.
 *
 * @param target Only the interface of this file or name.
 * @throws {QuickError} If it was not brought up by `quickUp`.
 */
export async function quickStatus(target?: string): Promise<QuickStatus[]> {
  const name = target === undefined ? undefined : (await findTarget(target)).name;
  const all = (await journals()).filter((journal) => name === undefined || journal.name === name);
  if (name !== undefined && all.length === 0) {
    throw new QuickError(
      `\`${name}' was not brought up by "wgd quick up"`,
      '"wgd show" lists all interfaces',
    );
  }
  return await Promise.all(all.map(status));
}

async function status(journal: Journal): Promise<QuickStatus> {
  const { name, file, since, complete, index, backend = "wgd" } = journal;
  const found = await findInterface(journal);
  const where = found && whereabouts(found, name);
  const repair = repairState(journal);
  let about: Omit<QuickStatus, "state"> = {
    name,
    file,
    since,
    backend,
    ...(where !== undefined && { where }),
    ...(repair && { repair }),
  };
  if (index !== 0 && !found) return { ...about, state: "dead" };
  if (!complete) return { ...about, state: "unfinished" };
  if (found?.elsewhere && !found.process) {
    return {
      ...about,
      state: "up",
      problem: "the kernel shows an interface only in its own namespace",
    };
  }
  try {
    // A process answers requests for the name with which its interface was made.
    const { state: device, backend: runs } = await diagnoseDevice(
      backend === "kernel" && found ? found.name : name,
    );
    about = { ...about, backend: runs };
    const source = await readQuickSource(file, { interfaceName: name });
    // `status` must not wait for a name server that does not answer.
    const recorded = where === undefined ? journal : undefined;
    const { wg, system: { undo, redo }, differences } = await compare(source, recorded, device, {
      resolve: (endpoint) => resolveEndpoint(endpoint, { retries: 0 }),
      resolveEndpoints: runs !== "kernel",
    });
    const words = (step: Parameters<typeof describe>[1]) => describe(name, step, SILENT).echo;
    return {
      ...about,
      state: "up",
      differences: differences.map(({ kind, message, exposes }) => ({ kind, message, exposes })),
      changes: [
        ...undo.map(words),
        ...describeWgChange(name, wg),
        ...redo.map(words),
        ...(recorded ? describeRepairChange(source, recorded) : []),
      ],
    };
  } catch (error) {
    const known = [QuickError, ConfigError, ValueError, FileError].some((kind) => error instanceof kind);
    if (!known) throw error;
    return { ...about, state: "up", problem: (error as Error).message };
  }
}

const SILENT: Actions = { announce() {}, warn() {}, signal: new AbortController().signal };
