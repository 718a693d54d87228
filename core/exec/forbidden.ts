/**
 * Finds out what forbids a user to make namespaces: a setting of the kernel or of a container.
 *
 * @module
 */

/** The system's settings for namespaces. */
export interface NamespaceFacts {
  /** /proc/sys/user/max_user_namespaces; undefined where the kernel has no user namespaces. */
  readonly maxUserNamespaces: number | undefined;
  readonly maxNetNamespaces: number | undefined;
  readonly maxMountNamespaces: number | undefined;
  /** /proc/sys/kernel/unprivileged_userns_clone, of Debian's and other kernels. */
  readonly unprivilegedClone: boolean | undefined;
  /** /proc/sys/kernel/apparmor_restrict_unprivileged_userns, of Ubuntu. */
  readonly apparmorRestricts: boolean | undefined;
  /** Whether system calls of this process are filtered (Seccomp in proc_pid_status(5)). */
  readonly seccomp: boolean;
  readonly root: boolean;
}

/** What forbids namespaces. */
export interface Obstacle {
  readonly cause: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/**
 * Finds out what forbids a user and network namespace.
 *
 * @param complaint The error output of `unshare`; empty if it was not called.
 * @returns The cause and the fix; undefined if nothing forbids namespaces.
 */
export function explainForbidden(facts: NamespaceFacts, complaint: string): Obstacle | undefined {
  const { maxUserNamespaces } = facts;
  const zero = ([
    ["user.max_user_namespaces", maxUserNamespaces],
    ["user.max_net_namespaces", facts.maxNetNamespaces],
    ["user.max_mnt_namespaces", facts.maxMountNamespaces],
  ] as const).find(([, value]) => value === 0);
  const sysctl = (name: string, value: string): Obstacle => ({
    cause: `the sysctl ${name} forbids it`,
    remedy: `an administrator can allow it with: sysctl -w ${name}=${value}`,
  });
  if (maxUserNamespaces === undefined) {
    return { cause: "this kernel has no user namespaces (CONFIG_USER_NS)" };
  }
  if (zero) return sysctl(zero[0], "1024");
  if (!facts.root && facts.unprivilegedClone === false) {
    return sysctl("kernel.unprivileged_userns_clone", "1");
  }
  if (!facts.root && facts.apparmorRestricts) {
    return {
      cause: "the sysctl kernel.apparmor_restrict_unprivileged_userns forbids it",
      remedy:
        "an administrator can allow it with: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, " +
        "or with an AppArmor profile for wgd that has the rule userns",
    };
  }
  if (/No space left/.test(complaint)) {
    return {
      cause:
        "the limit of namespaces is reached: the sysctl user.max_user_namespaces, or that of a container",
    };
  }
  if (complaint !== "" && facts.seccomp) {
    return {
      cause: "the seccomp profile of this container or service forbids it",
      remedy: "a profile that allows unshare, mount and setns is needed; docker run has " +
        "--security-opt seccomp=FILE, systemd RestrictNamespaces=no",
    };
  }
  return undefined;
}

/** Reads the system's settings. */
export function namespaceFacts(): NamespaceFacts {
  const number = (path: string) => {
    const text = read(`/proc/sys/${path}`);
    return text === undefined ? undefined : Number(text);
  };
  const flag = (path: string) => {
    const value = number(path);
    return value === undefined ? undefined : value !== 0;
  };
  return {
    maxUserNamespaces: number("user/max_user_namespaces"),
    maxNetNamespaces: number("user/max_net_namespaces"),
    maxMountNamespaces: number("user/max_mnt_namespaces"),
    unprivilegedClone: flag("kernel/unprivileged_userns_clone"),
    apparmorRestricts: flag("kernel/apparmor_restrict_unprivileged_userns"),
    seccomp: /^Seccomp:\s*[12]$/m.test(read("/proc/self/status") ?? ""),
    root: Deno.uid() === 0,
  };
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
