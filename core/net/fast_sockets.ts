/**
 * Selects the sockets of a tunnel inside a program: Linux's own if Deno permits FFI, else those of `node:dgram`.
 *
 * @module
 */

import type { SocketFactory } from "../engine/doors.ts";
import type { Features } from "../engine/features.ts";
import type { Log } from "../log.ts";
import type { Memory } from "../../wasm/mod.ts";
import { NodeSockets } from "./datagram_sockets.ts";
import type { EventLoopHost } from "./event_loop_host.ts";
import type { StreamSockets } from "./local_conn.ts";

/** Sockets and their kind. */
export interface ChosenSockets {
  readonly kind: "node" | "linux";
  readonly factory: SocketFactory;
  /** Linux's own sockets for the programs of this machine. */
  readonly streams?: StreamSockets;
  /** Releases what all of them share. */
  close(): Promise<void>;
}

/** Selects the fastest sockets that are permitted, without prompting for a permission. */
export async function chooseSockets(
  memory: Memory,
  host: EventLoopHost,
  features: Features,
  log: Log,
): Promise<ChosenSockets> {
  if (Deno.build.os === "linux" && Deno.permissions.querySync({ name: "ffi" }).state === "granted") {
    try {
      // The only import of FFI here. Without the permission, none of it is loaded.
      const { EventLoopSockets } = await import("../tunnel/event_loop_sockets.ts");
      const factory = new EventLoopSockets(memory, host, features);
      return { kind: "linux", factory, streams: factory.streams, close: () => factory.close() };
    } catch (error) {
      // Another C library, or another processor.
      log("info", `the sockets of Linux cannot be used: ${(error as Error).message}`);
    }
  }
  return { kind: "node", factory: new NodeSockets(memory, host), close: () => Promise.resolve() };
}
