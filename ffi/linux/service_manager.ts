/**
 * Notifies systemd that a service has started (sd_notify(3), "Notes": the protocol is stable).
 *
 * @module
 */

import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "./constants.ts";

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/**
 * Prepares the message, for a process that gives up FFI before it is ready.
 *
 * @param path `NOTIFY_SOCKET`, a path, or `@` and an abstract name; undefined if there is no service manager.
 * @returns A function that sends it. If the message is lost, systemd times out and reports it.
 */
export function readyNotice(path: string | undefined): () => void {
  if (!path) return () => {};
  const { socket, sendto, close } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  const name = new TextEncoder().encode(path);
  if (path.startsWith("@")) name[0] = 0;
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  return () => {
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const message = new TextEncoder().encode("READY=1");
    sendto(fd, message, BigInt(message.length), MSG_NOSIGNAL, address, address.length);
    close(fd);
  };
}
