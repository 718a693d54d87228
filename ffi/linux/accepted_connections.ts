/**
 * Connections that a Deno server has accepted. Deno does not limit their number or age, and cannot close one.
 *
 * @module
 */

import { AF_INET, AF_INET6, O_CLOEXEC, SHUT_RDWR } from "./constants.ts";
import { check, cString, libc } from "./libc.ts";

const SYMBOLS = {
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
} as const;

/** Bytes of a `struct sockaddr_in6` (linux/in6.h), and the offsets of the addresses of both families. */
const NAME = 28;
const IPV4 = [4, 8] as const;
const IPV6 = [8, 24] as const;
/** Bytes that are enough for the lines of /proc/self/status up to the size of the table of descriptors. */
const STATUS = 1_024;

/** An accepted connection. */
export interface Accepted {
  readonly fd: number;
  /** The client's address: 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** The client's port. */
  readonly port: number;
}

/** The connections of this process. */
export interface AcceptedConnections {
  /** The connections that were accepted at a local port. */
  at(port: number): Accepted[];
  /**
   * Ends a connection: its server reads the end of the stream and closes it. This must be called right after `at`,
   * because a closed descriptor's number may be reused for another file.
   */
  end(connection: Accepted): void;
}

/** Prepares the search for connections, while the process may still use FFI. */
export function prepareConnections(): AcceptedConnections {
  const { getsockname, getpeername, pread, shutdown } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  // Opened now, because Deno's permissions will not allow it later. Each read returns the values of that moment.
  const file = check(libc().open(cString("/proc/self/status"), O_CLOEXEC, 0), "opening /proc/self/status");
  const status = new Uint8Array(STATUS);
  const [name, length] = [new Uint8Array(NAME), new Uint32Array(1)];
  const view = new DataView(name.buffer);
  const read = (call: typeof getsockname, fd: number) => {
    length[0] = NAME;
    return call(fd, name, length) === 0;
  };
  /** All descriptors are smaller. The kernel doubles the table when it is full, and never shrinks it. */
  const tableSize = () => {
    const text = new TextDecoder().decode(
      status.subarray(0, Number(pread(file, status, BigInt(STATUS), 0n))),
    );
    return Number(/^FDSize:\t(\d+)$/m.exec(text)![1]);
  };
  return {
    at(wanted) {
      const found: Accepted[] = [];
      // A gap may have any length, because clients choose which connections they close. /proc/self/fd would list the
      // descriptors, but only programs with all permissions of Deno can read it.
      for (let fd = 0, end = tableSize(); fd < end; fd++) {
        if (!read(getsockname, fd)) continue;
        const family = view.getUint16(0, true);
        if (family !== AF_INET && family !== AF_INET6 || view.getUint16(2) !== wanted) continue;
        // The listening socket refuses this call.
        if (!read(getpeername, fd)) continue;
        const address = name.slice(...family === AF_INET ? IPV4 : IPV6);
        found.push({ fd, address, port: view.getUint16(2) });
      }
      return found;
    },
    end: ({ fd }) => void shutdown(fd, SHUT_RDWR),
  };
}
