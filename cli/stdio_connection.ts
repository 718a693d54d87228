/**
 * Connects standard input and output to a target, for ssh's ProxyCommand.
 *
 * @module
 */

import { type ByteStream, relay } from "../core/net/relay.ts";

/**
 * Copies both ways until both have ended.
 *
 * @param signal Ends it at once.
 */
export async function connectStdio(conn: ByteStream, signal: AbortSignal): Promise<void> {
  const standard: ByteStream = {
    read: (buffer) => Deno.stdin.read(buffer),
    write: (bytes) => Deno.stdout.write(bytes),
    closeWrite: () => {
      Deno.stdout.close();
      return Promise.resolve();
    },
  };
  const ended = new Promise<void>((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
  await Promise.race([relay(standard, conn), ended]);
}

/** Closes the standard streams, so that a program that waits for their end does not wait for this process. */
export function closeStdio(): void {
  for (const stream of [Deno.stdin, Deno.stdout, Deno.stderr]) {
    try {
      stream.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}
