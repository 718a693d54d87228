/**
 * Live data as server-sent events (HTML, section 9.2).
 *
 * @module
 */

import type { LiveDevice, Sampler } from "./sampler.ts";

/**
 * Milliseconds without an event after which an empty one is sent, to show that the connection works. The page waits 40
 * seconds.
 */
const HEARTBEAT = 15_000;
/** Milliseconds after which a stream ends. The browser then connects again and is authenticated again. */
const LONGEST = 5 * 60_000;
/** Milliseconds after which the browser connects again. */
const RETRY = 500;

/** What to send. */
export interface StreamOptions {
  readonly ids: readonly string[];
  /** Only devices of this user; undefined for all. */
  readonly ownerId: string | undefined;
  /** Whether the reader still has the rights that the stream began with. */
  readonly isAllowed: () => Promise<boolean>;
  /** A device as JSON. */
  readonly json: (device: LiveDevice) => unknown;
  /** Aborted when the reader has disconnected. */
  readonly signal: AbortSignal;
}

/** Sends an event whenever the live values of a device have changed. Ends before an event that the reader may not see. */
export function liveStream(
  sampler: Sampler,
  { ids, ownerId, isAllowed, json, signal }: StreamOptions,
): Response {
  const encoder = new TextEncoder();
  const ending = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      let sent = "";
      let isChecking = false;
      let heartbeat: ReturnType<typeof setTimeout>;
      const send = async (text: string) => {
        isChecking = true;
        // If the store cannot say it, the browser connects again and gets the error.
        if (!await isAllowed().catch(() => false)) ending.abort();
        isChecking = false;
        if (ending.signal.aborted) return;
        controller.enqueue(encoder.encode(text));
        clearTimeout(heartbeat);
        heartbeat = setTimeout(() => void send("event: alive\ndata:\n\n"), HEARTBEAT);
      };
      const end = setTimeout(() => ending.abort(), LONGEST);
      signal.addEventListener("abort", () => ending.abort(), { once: true });
      ending.signal.addEventListener("abort", () => {
        clearTimeout(heartbeat);
        clearTimeout(end);
        try {
          controller.close();
        } catch {
          // The reader has closed it.
        }
      }, { once: true });
      controller.enqueue(encoder.encode(`retry: ${RETRY}\n\n`));
      const show = (devices: readonly LiveDevice[]) => {
        const data = JSON.stringify(devices.map(json));
        // A slow reader skips events.
        if (data === sent || isChecking || (controller.desiredSize ?? 0) < 0) return;
        sent = data;
        void send(`event: devices\ndata: ${data}\n\n`);
      };
      sampler.watch({ ids, ownerId, show }, ending.signal);
    },
    cancel: () => ending.abort(),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
}
