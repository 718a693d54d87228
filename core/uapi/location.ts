/**
 * Where an interface is: its process tells, since names and network namespaces of interfaces change.
 *
 * @module
 */

/** Where an interface is now. */
export interface Location {
  /** Its name. */
  readonly name: string;
  /** The kernel's number of it in its namespace. */
  readonly index: number;
  /** The inode number of its network namespace. */
  readonly namespace: number;
}

/** The request for it. Others refuse it with `EINVAL`, and so do versions of wgd before it. */
export const LOCATION_REQUEST = "get=1\nwgd_location=1\n\n";

/** Writes the reply. */
export function formatLocation({ namespace, index, name }: Location): string {
  return `wgd_location=${namespace} ${index} ${name}\nerrno=0\n\n`;
}

/** Reads a reply; undefined if it is none. */
export function parseLocation(reply: string): Location | undefined {
  const [, namespace, index, name] = /^wgd_location=(\d+) (\d+) (\S+)$/m.exec(reply) ?? [];
  if (name === undefined) return undefined;
  return { namespace: Number(namespace), index: Number(index), name };
}
