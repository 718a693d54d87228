/**
 * The services of `wgd web` in the running system: their user, and their state in systemd.
 *
 * @module
 */

import { DATA } from "../web/folders.ts";
import { InstallError } from "./plan.ts";

/** The user of the web process. */
export const WEB_USER = "wgd";

const KEEPER = "wgd-keeper.service";
const WEB = "wgd-web.service";

/** Runs a program of the system. */
interface Finished {
  readonly success: boolean;
  /** Its error output. */
  readonly complaint: string;
}

/** @returns Undefined if there is no such program. */
async function run(command: string, ...args: string[]): Promise<Finished | undefined> {
  try {
    const { success, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
    return { success, complaint: new TextDecoder().decode(stderr).trim() };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether the system has the user. */
export async function hasWebUser(): Promise<boolean> {
  return (await run("getent", "passwd", WEB_USER))?.success ?? false;
}

/**
 * Makes the user of the web process, unless there is one.
 *
 * @param description Its file for systemd-sysusers.
 * @throws {InstallError} If it cannot be made.
 */
export async function makeWebUser(description: string): Promise<void> {
  if (await hasWebUser()) return;
  // A system has one of these programs, and both have the same effect here.
  const useradd = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", WEB_USER];
  const made = await run("systemd-sysusers", description) ?? await run("useradd", ...useradd);
  if (made?.success && await hasWebUser()) return;
  throw new InstallError(
    `cannot make the user ${WEB_USER}: ${made?.complaint || "there is neither systemd-sysusers nor useradd"}`,
    `make it, then start the services; all files are in place`,
  );
}

/**
 * Removes the user of the web process, unless a server's folder still belongs to it, because another user would get its
 * number.
 *
 * @returns The remaining files of a server, if there are any.
 */
export async function removeWebUser(): Promise<typeof DATA | undefined> {
  if (await Deno.lstat(DATA).catch(() => undefined)) return DATA;
  if (await hasWebUser()) await run("userdel", WEB_USER);
  return undefined;
}

/** Stops and disables the services. Interfaces stay up. */
export async function stopWebServices(): Promise<void> {
  await run("systemctl", "disable", "--now", WEB, KEEPER);
}

/** Whether a process is the keeper's service, by its cgroup (cgroups(7)). */
export async function isKeeperService(process: number): Promise<boolean> {
  const groups = await Deno.readTextFile(`/proc/${process}/cgroup`).catch(() => "");
  return groups.split("\n").some((line) => line.endsWith(`/${KEEPER}`));
}

/** Whether the service of the web process runs. */
export async function runsWebService(): Promise<boolean> {
  return (await run("systemctl", "is-active", "--quiet", WEB))?.success ?? false;
}
