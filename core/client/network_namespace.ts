/**
 * Network namespaces, which are identified by inode numbers.
 *
 * @module
 */

/** The folder in which `ip netns` keeps names of namespaces. */
const NAMED = "/run/netns";

/** A network namespace. */
export interface NetworkNamespace {
  readonly inode: number;
  /** Its name in `ip netns`. */
  readonly name?: string;
  /** A file of it, for `nsenter --net=`; absent if only an interface or a socket keeps it. */
  readonly path?: string;
}

/**
 * The inode number of a process's network namespace, by default of this process; undefined if the process has ended or
 * we may not see it.
 */
export function namespaceOf(pid: number | "self" = "self"): number | undefined {
  try {
    const link = Deno.readLinkSync(`/proc/${pid}/ns/net`);
    return Number(/\d+/.exec(link)?.[0]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  }
}

/** Finds a namespace's name and file: by the names of `ip netns`, else by a process that is in it. */
export function findNamespace(inode: number): NetworkNamespace {
  for (const name of entries(NAMED)) {
    const path = `${NAMED}/${name}`;
    if (inodeOf(path) === inode) return { inode, name, path };
  }
  for (const pid of entries("/proc")) {
    if (/^\d+$/.test(pid) && namespaceOf(Number(pid)) === inode) {
      return { inode, path: `/proc/${pid}/ns/net` };
    }
  }
  return { inode };
}

/** All other namespaces that have a name or a process. */
export function otherNamespaces(): NetworkNamespace[] {
  const found = new Map<number, NetworkNamespace>();
  for (const name of entries(NAMED)) {
    const path = `${NAMED}/${name}`;
    const inode = inodeOf(path);
    if (inode) found.set(inode, { inode, name, path });
  }
  for (const pid of entries("/proc").filter((name) => /^\d+$/.test(name))) {
    const inode = namespaceOf(Number(pid));
    if (inode && !found.has(inode)) found.set(inode, { inode, path: `/proc/${pid}/ns/net` });
  }
  found.delete(namespaceOf()!);
  return [...found.values()];
}

function entries(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return [];
    throw error;
  }
}

function inodeOf(path: string): number | null | undefined {
  try {
    return Deno.statSync(path).ino;
  } catch {
    // It was deleted meanwhile.
    return undefined;
  }
}
