/**
 * What is live about the devices that are in view, over server-sent events.
 *
 * @module
 */

import { useEffect, useRef, useState } from "preact/hooks";
import { query } from "./api.ts";
import type { Live } from "./types.ts";

/** Rates that a sparkline shows. */
export const SAMPLES = 40;

/** The newest values of a device, and its rates in both directions, oldest first. */
export interface LiveDevice extends Live {
  readonly rates: readonly number[];
}

/** Scrolling must end before the server is asked for other devices. */
const SETTLE = 200;

/**
 * Follows devices for as long as the page can be seen.
 *
 * @param ids Of the devices in view.
 */
export function useLive(ids: readonly string[]): ReadonlyMap<string, LiveDevice> {
  const [devices, setDevices] = useState<ReadonlyMap<string, LiveDevice>>(new Map());
  const opened = useRef(false);
  const devicesKey = ids.join();
  useEffect(() => {
    if (devicesKey === "") return;
    let source: EventSource | undefined;
    const open = () => {
      source?.close();
      source = undefined;
      if (document.hidden) return;
      source = new EventSource(`/api/v1/live${query({ devices: devicesKey })}`);
      source.addEventListener("devices", (event) => setDevices((before) => merge(before, event.data, ids)));
    };
    // The first time there is nothing to wait for.
    const timer = setTimeout(open, opened.current ? SETTLE : 0);
    opened.current = true;
    document.addEventListener("visibilitychange", open);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", open);
      source?.close();
    };
  }, [devicesKey]);
  return devices;
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
