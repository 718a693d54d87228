/** `wgd install` and `wgd uninstall`. @module */

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { install as apply, reloadUnits, uninstall as takeAway } from "../../core/install/apply.ts";
import {
  type Change,
  compareForInstall,
  compareForUninstall,
  type InstallOptions,
} from "../../core/install/compare.ts";
import {
  InstallError,
  type InstallFile,
  installFiles,
  installLinks,
  installWeb,
  systemdLooksBelow,
  unitPath,
  webUserPath,
} from "../../core/install/plan.ts";
import { makeWebUser, removeWebUser, stopWebServices, WEB_USER } from "../../core/install/web_services.ts";
import { completionScripts } from "../completions/scripts.ts";
import { INSTALL_OPTIONS, UNINSTALL_OPTIONS } from "../grammar.ts";
import { Interruption } from "../interruption.ts";
import { manualPages } from "../manual/manual.ts";
import { programName, shortName } from "../program.ts";
import { complain, print } from "../render/output.ts";
import { installableProgram } from "../self.ts";

const PREFIX = "/usr/local";

/** Installs this executable, units, completions and manual pages. */
export async function install(args: string[]): Promise<number> {
  let values;
  const more = " [--links] [--web]";
  try {
    ({ values } = parseArgs({ args, options: INSTALL_OPTIONS }));
  } catch (error) {
    return usage((error as Error).message, "install", more);
  }
  const { links, web, "dry-run": dryRun } = values;
  const { prefix, options } = where(values);
  if (links && options.forUser) return usage("--links cannot be used with --user", "install", more);
  if (web && options.forUser) return usage("--web cannot be used with --user", "install", more);
  const files = [
    ...await filesBelow(prefix, options),
    ...links ? installLinks(prefix) : [],
    ...web ? installWeb(prefix) : [],
  ];
  const changes = await compareForInstall(files, options);
  // A file is reported after it has been changed.
  if (!dryRun) {
    const interruption = new Interruption();
    try {
      await apply(changes, options, interruption.signal);
    } catch (error) {
      if (!interruption.caused(error)) throw error;
      complain(`${shortName()}: interrupted; nothing was changed`);
      return interruption.code;
    }
    await reloadUnits(changes, options);
  }
  tell(changes, dryRun);
  if (options.root === "" && !options.forUser && !systemdLooksBelow(prefix)) {
    complain(`hint: systemd does not look there for units: systemctl link ${unitPath(prefix)}`);
  }
  if (web && options.root === "" && !dryRun) {
    await makeWebUser(webUserPath(prefix));
    complain("hint: start the server: systemctl enable --now wgd-keeper wgd-web");
    complain("hint: the first start prints a link that sets the server up: journalctl -u wgd-web");
  }
  return 0;
}

/** Removes the files that `install` installed. */
export async function uninstall(args: string[]): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({ args, options: UNINSTALL_OPTIONS }));
  } catch (error) {
    return usage((error as Error).message, "uninstall", "");
  }
  const { "dry-run": dryRun } = values;
  const { prefix, options } = where(values);
  const more = options.forUser ? [] : [...installLinks(prefix), ...installWeb(prefix)];
  const files = [...await filesBelow(prefix, options), ...more];
  const changes = await compareForUninstall(files, options);
  const services = changes.some(({ file, action }) =>
    action === "remove" && file.path === webUserPath(prefix)
  );
  const isThisSystem = options.root === "" && !dryRun;
  if (!dryRun) {
    if (services && isThisSystem) await stopWebServices();
    await takeAway(changes, prefix, options);
    await reloadUnits(changes, options);
  }
  tell(changes, dryRun);
  if (services && isThisSystem) {
    const left = await removeWebUser();
    if (left) complain(`hint: ${left} and the user ${WEB_USER} are the server's data and stay`);
  }
  return changes.some(({ action }) => action === "leave") ? 1 : 0;
}

function where(
  { user = false, prefix = user ? ownPrefix() : PREFIX, root }: {
    user?: boolean;
    prefix?: string;
    root?: string;
  },
): { prefix: string; options: InstallOptions } {
  const program = installableProgram();
  if (program === undefined) {
    throw new InstallError(
      "this wgd runs from its sources, so there is no executable to install",
      "build it first: deno task compile; then run: dist/wgd install",
    );
  }
  if (root === "") {
    throw new InstallError("--root needs a folder", "omit it to install on this system");
  }
  const options = {
    program,
    root: root === undefined ? "" : resolve(root).replace(/\/$/, ""),
    forUser: user,
  };
  return { prefix: prefix.length > 1 ? prefix.replace(/\/+$/, "") : prefix, options };
}

/** The prefix of a user's own programs (file-hierarchy(7)). */
function ownPrefix(): string {
  const home = Deno.env.get("HOME");
  if (home) return `${home.replace(/\/+$/, "")}/.local`;
  throw new InstallError("--user needs HOME, which is not set", "name a folder: --prefix FOLDER");
}

async function filesBelow(prefix: string, { forUser }: InstallOptions): Promise<InstallFile[]> {
  const { default: { version } } = await import("../../deno.json", { with: { type: "json" } });
  return installFiles(prefix, { completions: completionScripts, manual: manualPages(version) }, forUser);
}

const DONE = {
  install: "installed",
  replace: "replaced",
  keep: "unchanged",
  remove: "removed",
  leave: "left",
};

function tell(changes: readonly Change[], dryRun = false): void {
  for (const { path, action, reason } of changes) {
    if (action === "leave") complain(`${shortName()}: ${path} is left as it is: ${reason}`);
    else print(dryRun ? `would ${action} ${path}\n` : `${DONE[action]} ${path}\n`);
  }
}

function usage(problem: string, command: string, more: string): number {
  complain(`${shortName()}: ${problem}`);
  complain(
    `Usage: ${programName()} ${command} [--user] [--prefix <folder>] [--root <folder>]${more} [--dry-run]`,
  );
  return 1;
}
