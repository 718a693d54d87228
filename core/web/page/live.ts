/**
 * Live values of the devices that are in view, over server-sent events.
 *
 * @module
 */

import { useEffect, useRef, useState } from "preact/hooks";
import { get, query } from "./api.ts";
import { whenConnected } from "./connection.ts";
import type { Live } from "./types.ts";

/** Number of rates in a sparkline. */
export const SAMPLES = 40;

/** The newest values of a device, and its rates in both directions, oldest first. */
export interface LiveDevice extends Live {
  readonly rates: readonly number[];
}

/** Milliseconds without scrolling before the stream is opened for other devices. */
const SETTLE = 200;
/** Milliseconds of silence after which a stream is given up. The server sends something every 15 seconds. */
const SILENCE = 40_000;
/** Milliseconds before a stream that has ended is opened again. They double until a stream has values again. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [500, 30_000];

/**
 * Follows devices while the page is visible.
 *
 * @param ids Identifiers of the devices in view.
 */
export function useLive(ids: readonly string[]): ReadonlyMap<string, LiveDevice> {
  const [devices, setDevices] = useState<ReadonlyMap<string, LiveDevice>>(new Map());
  const opened = useRef(false);
  const devicesKey = ids.join();
  useEffect(() => {
    if (devicesKey === "") return;
    const path = `/api/v1/live${query({ devices: devicesKey })}`;
    // The first time, there is no delay.
    const settle = opened.current ? SETTLE : 0;
    opened.current = true;
    return follow(path, settle, (data) => setDevices((before) => merge(before, data, ids)));
  }, [devicesKey]);
  return devices;
}

/** Follows a stream while the page is visible. Opens it again whenever it ends. @returns Stops following. */
function follow(path: string, settle: number, show: (data: string) => void): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout>;
  let ended = false;
  let pause = FIRST_PAUSE;
  const later = (milliseconds: number, work: () => void) => {
    clearTimeout(timer);
    timer = setTimeout(work, milliseconds);
  };
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  };
  const open = () => {
    close();
    if (document.hidden) return;
    const own = source = new EventSource(path);
    // After some errors, browsers do not try again, and they do not notice a connection that has gone silent.
    const lost = async () => {
      if (own !== source) return;
      close();
      await whenConnected();
      // The session may have ended meanwhile.
      await get("me").catch(() => {});
      if (source !== undefined || ended) return;
      later(pause, open);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    };
    const heard = () => later(SILENCE, lost);
    own.addEventListener("error", lost);
    own.addEventListener("alive", heard);
    own.addEventListener("devices", ({ data }) => {
      pause = FIRST_PAUSE;
      heard();
      show(data);
    });
    heard();
  };
  later(settle, open);
  document.addEventListener("visibilitychange", open);
  addEventListener("online", open);
  return () => {
    ended = true;
    close();
    document.removeEventListener("visibilitychange", open);
    removeEventListener("online", open);
  };
}

function merge(before: ReadonlyMap<string, LiveDevice>, data: string, ids: readonly string[]) {
  const after = new Map<string, LiveDevice>();
  for (const id of ids) {
    const known = before.get(id);
    if (known) after.set(id, known);
  }
  for (const live of JSON.parse(data) as Live[]) {
    const rates = before.get(live.id)?.rates ?? [];
    after.set(live.id, { ...live, rates: [...rates.slice(1 - SAMPLES), live.rxRate + live.txRate] });
  }
  return after;
}
