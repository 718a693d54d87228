/**
 * The location of an interface, which its process reports: its name and network namespace may change.
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

/** The request for it. Other implementations and older versions of wgd refuse it with `EINVAL`. */
export const LOCATION_REQUEST = "get=1\nwgd_location=1\n\n";

/** Writes the reply. */
export function formatLocation({ namespace, index, name }: Location): string {
  return `wgd_location=${namespace} ${index} ${name}\nerrno=0\n\n`;
}

/** Reads a reply; undefined if it is not one. */
export function parseLocation(reply: string): Location | undefined {
  const [, namespace, index, name] = /^wgd_location=(\d+) (\d+) (\S+)$/m.exec(reply) ?? [];
  if (name === undefined) return undefined;
  return { namespace: Number(namespace), index: Number(index), name };
}
