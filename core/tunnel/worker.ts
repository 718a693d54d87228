/**
 * The engine's thread. The first message names the interface. After `ready` this thread stays in the engine's loop and
 * receives no more messages; its eventfd stops it.
 *
 * @module
 */

import { leaveSignalsToOtherThreads } from "../../ffi/linux/signals.ts";
import { SystemError } from "../../ffi/linux/system_error.ts";
import type { Feature } from "../config/features.ts";
import type { LaneCount } from "../config/lanes.ts";
import type { LaneStart } from "./lane_start.ts";
import { type Enclosure, LinuxEngine } from "./linux_engine.ts";

/** The main thread's request. */
export interface StartMessage {
  readonly name: string;
  readonly disable: readonly Feature[];
  readonly lanes: LaneCount;
  readonly enclosure?: Enclosure | undefined;
}

/** The engine's messages to the main thread. */
export type EngineMessage =
  | { readonly kind: "ready"; readonly stopFd: number }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "log"; readonly level: "debug" | "info" | "error"; readonly message: string }
  | { readonly kind: "lookup"; readonly publicKey: Uint8Array; readonly name: string }
  | { readonly kind: "lane"; readonly start: LaneStart }
  | { readonly kind: "stopped"; readonly reason: string };

/** An error as a message between threads, which can contain only plain values. */
export interface Failure {
  readonly message: string;
  readonly stack: string | undefined;
  /** The parts of a SystemError. */
  readonly system: Pick<SystemError, "action" | "errno" | "hint"> | undefined;
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<StartMessage>) => void) | null;
  postMessage(message: EngineMessage): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data: { name, disable, lanes, enclosure } }) => {
  try {
    leaveSignalsToOtherThreads();
    const engine = LinuxEngine.open({
      name,
      disable,
      lanes,
      beginLane: (start) => scope.postMessage({ kind: "lane", start }),
      ...(enclosure && { enclosure }),
      log: (level, message) => scope.postMessage({ kind: "log", level, message }),
      lookup: (publicKey, name) => scope.postMessage({ kind: "lookup", publicKey, name }),
    });
    scope.postMessage({ kind: "ready", stopFd: engine.stopFd });
    scope.postMessage({ kind: "stopped", reason: engine.run() });
  } catch (error) {
    scope.postMessage({ kind: "failed", failure: failureOf(error) });
  }
  scope.close();
};

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error), stack: undefined, system: undefined };
  const { message, stack } = error;
  if (!(error instanceof SystemError)) return { message, stack, system: undefined };
  const { action, errno, hint } = error;
  return { message, stack, system: { action, errno, hint } };
}
