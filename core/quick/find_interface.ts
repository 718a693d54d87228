/**
 * Finds an interface that `up` made, also if it was renamed or moved to another network namespace, by its process.
 *
 * @module
 */

import { locateDevice } from "../client/devices.ts";
import { kernelDevicesIn } from "../client/kernel_elsewhere.ts";
import {
  findNamespace,
  namespaceOf,
  type NetworkNamespace,
  otherNamespaces,
} from "../client/network_namespace.ts";
import { interfaceProcess, isAnswered, isRunning, type Process, tunNames } from "../client/process.ts";
import { linkIndex, linkName } from "../client/system.ts";
import { socketPath } from "../uapi/socket_path.ts";
import { isRecorded, type Journal } from "./journal.ts";
import { hashOf } from "./key_hash.ts";
import { command, deletion, type Step } from "./plan/step.ts";

/** An interface that runs. */
export interface FoundInterface {
  /** Its name now. */
  readonly name: string;
  /** Its process; absent if it is the kernel's. */
  readonly process?: Process;
  /** The path of its control socket, if its process answers there. */
  readonly socket?: string;
  /** Its network namespace, if it is another one; null if it is unknown. */
  readonly elsewhere?: NetworkNamespace | null;
}

/** Finds the interface of a record; undefined if it has ended. */
export async function findInterface(journal: Journal): Promise<FoundInterface | undefined> {
  const { name, index } = journal;
  // Until its index is recorded, it cannot be distinguished from another interface of that name.
  if (index === 0) return undefined;
  if (journal.backend === "kernel") {
    const current = linkName(index);
    return current === undefined ? await findKernelElsewhere(journal) : { name: current };
  }
  const process = journal.process ?? processMadeHere(name);
  if (process && isRunning(process)) return await find(name, index, process);
  return linkIndex(name) === index ? { name } : undefined;
}

/** Finds an interface without a record, by its name. */
export async function findUnrecorded(name: string): Promise<FoundInterface | undefined> {
  const index = linkIndex(name);
  const process = interfaceProcess(name);
  if (process) return await find(name, index, process);
  return index === 0 ? undefined : { name };
}

/**
 * The step that ends an interface. If it is in another network namespace, its control socket is deleted, which ends its
 * process.
 */
export function ending({ process, socket, name, elsewhere }: FoundInterface): Step {
  if (elsewhere === undefined) return deletion(name);
  if (process) return { kind: "end", pid: process.pid, ...(socket !== undefined && { socket }) };
  return command("nsenter", `--net=${elsewhere?.path}`, "--", "ip", "link", "delete", "dev", name);
}

/** Returns a sentence with the location of an interface; undefined if it is where `up` made it. */
export function whereabouts({ name, elsewhere }: FoundInterface, madeAs: string): string | undefined {
  const renamed = name !== madeAs;
  if (elsewhere === undefined) return renamed ? `its name is ${name} now` : undefined;
  return `it is in ${describe(elsewhere)}${renamed ? `, as ${name}` : ""}`;
}

function describe(namespace: NetworkNamespace | null): string {
  if (namespace === null) return "another network namespace";
  const { inode, name, path } = namespace;
  if (name !== undefined) return `the network namespace ${name}`;
  return path === undefined ? `the network namespace net:[${inode}]` : `the network namespace ${path}`;
}

/**
 * Finds a kernel interface in another network namespace by its private key, because another interface there may have
 * its number or name. An interface that has a record there is a different one.
 */
async function findKernelElsewhere({ name, remembered }: Journal): Promise<FoundInterface | undefined> {
  const hashes = remembered?.applied.flatMap(({ privateKey }) => privateKey ?? []) ?? [];
  if (hashes.length === 0) return undefined;
  for (const elsewhere of otherNamespaces()) {
    for (const device of kernelDevicesIn(elsewhere.path!)) {
      const { privateKey } = device.state;
      if (!privateKey || !hashes.includes(await hashOf(privateKey))) continue;
      if (!await isRecorded(name, elsewhere.inode)) return { name: device.name, elsewhere };
    }
  }
  return undefined;
}

/** For records without a process. An interface with that name in another namespace may also have a process. */
function processMadeHere(name: string): Process | undefined {
  const process = interfaceProcess(name);
  return process && namespaceOf(process.pid) === namespaceOf() ? process : undefined;
}

async function find(name: string, index: number, process: Process): Promise<FoundInterface | undefined> {
  // Another process may use that socket by now.
  const answers = interfaceProcess(name)?.pid === process.pid;
  const socket = answers ? { socket: socketPath(name) } : {};
  const location = answers ? await locateDevice(name) : undefined;
  if (location) {
    const elsewhere = location.namespace === namespaceOf() ? undefined : findNamespace(location.namespace);
    return { name: location.name, process, ...socket, ...(elsewhere && { elsewhere }) };
  }
  // Another implementation, an older wgd, or a process that hangs or is about to end.
  const names = tunNames(process)?.filter((held) => held !== "") ?? [name];
  const current = names.includes(name) ? name : isAnswered(name) ? names[0] : undefined;
  if (current === undefined) return undefined;
  return { name: current, process, ...socket, ...(linkIndex(current) !== index && { elsewhere: null }) };
}
