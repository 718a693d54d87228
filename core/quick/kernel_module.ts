/**
 * Finds out whether the kernel's module "wireguard" is available, and if not, why.
 *
 * @module
 */

/** Facts about the kernel's modules. */
export interface ModuleFacts {
  /** The output of `uname -r`. */
  readonly release: string;
  /** Whether modules can be loaded. `off`: not until the next boot. `never`: the kernel does not support modules. */
  readonly loading: "on" | "off" | "never";
  /** `none` if there is no folder for modules of this kernel, `missing` if the folder has no wireguard. */
  readonly file: "there" | "missing" | "none";
}

/**
 * Whether the kernel already has WireGuard, built in or loaded. (In both cases it has a version, and so a folder here.)
 */
export function isModuleLoaded(): boolean {
  try {
    return Deno.statSync("/sys/module/wireguard").isDirectory;
  } catch {
    return false;
  }
}

/** Reads the facts. */
export async function moduleFacts(): Promise<ModuleFacts> {
  const read = (path: string) => Deno.readTextFile(path).catch(() => undefined);
  const release = (await read("/proc/sys/kernel/osrelease"))?.trim() ?? "";
  const disabled = await read("/proc/sys/kernel/modules_disabled");
  const list = await read(`${moduleFolder(release)}/modules.dep`);
  return {
    release,
    loading: disabled === undefined ? "never" : disabled.trim() === "1" ? "off" : "on",
    file: list === undefined ? "none" : /(^|\/)wireguard\.ko/m.test(list) ? "there" : "missing",
  };
}

/** Why the kernel has no WireGuard, and how to fix it. */
export function adviseWithoutModule({ release, loading, file }: ModuleFacts): string {
  const instead = "or let wgd run the interface: --backend wgd";
  if (loading === "never") {
    return `this kernel (${release}) has no modules, and no WireGuard built in; boot another one, ${instead}`;
  }
  if (loading === "off") {
    return "kernel.modules_disabled keeps modules from being loaded until the next boot; " +
      `load wireguard before it is set, ${instead}`;
  }
  const folder = moduleFolder(release);
  switch (file) {
    case "there":
      return `${folder} has the module, but it was not loaded; "modprobe wireguard" says why; mend that, ${instead}`;
    case "missing":
      return `${folder} has no module wireguard; install a kernel that has it, ${instead}`;
    case "none":
      return `there is no ${folder} here; if this is a container, run "modprobe wireguard" on its host, ${instead}`;
  }
}

function moduleFolder(release: string): string {
  return `/lib/modules/${release}`;
}
