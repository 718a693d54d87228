/**
 * Whether the server responds, and when it does so again. Networks change, and servers are restarted.
 *
 * @module
 */

import { useEffect, useState } from "preact/hooks";

/** The page itself, which the server has in memory. */
const PROBE = "/";
/** Milliseconds after which an attempt is given up. */
const PATIENCE = 5_000;
/** Milliseconds after which a failure is not counted as temporary. */
const SHORT = 1_000;
/** Milliseconds between two attempts. They grow from the first value to the last. */
const [FIRST, LAST] = [250, 5_000];

let connected = true;
let asking: Promise<void> | undefined;
let goOn = () => {};
const listeners = new Set<(connected: boolean) => void>();

/** Repeats a request until the server responds. */
export function whenConnected(): Promise<void> {
  return asking ??= ask().finally(() => asking = undefined);
}

async function ask(): Promise<void> {
  for (let pause = FIRST;; pause = Math.min(pause * 2, LAST)) {
    const begun = performance.now();
    if (await answers()) return tell(true);
    // When a network changes, browsers abort all requests once, and the next one works. This is not shown.
    if (pause > FIRST || !navigator.onLine || performance.now() - begun > SHORT) tell(false);
    await new Promise<void>((resolve) => {
      goOn = resolve;
      setTimeout(resolve, pause);
    });
  }
}

async function answers(): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const { status } = await fetch(PROBE, { method: "HEAD", cache: "no-store", signal });
    return !isGateway(status);
  } catch {
    return false;
  }
}

/** Whether the response of a proxy means that the server behind it does not respond. */
export function isGateway(status: number): boolean {
  return status >= 502 && status <= 504;
}

function tell(now: boolean): void {
  if (now === connected) return;
  connected = now;
  for (const listener of listeners) listener(now);
}

addEventListener("offline", () => void whenConnected());
for (const event of ["online", "visibilitychange"]) addEventListener(event, () => goOn());

/** Whether the server responds, as far as is known. */
export function useConnected(): boolean {
  const [now, setNow] = useState(connected);
  useEffect(() => {
    listeners.add(setNow);
    setNow(connected);
    return () => void listeners.delete(setNow);
  }, []);
  return now;
}

/** Calls a function whenever the server responds again. */
export function useReconnected(again: () => void): void {
  useEffect(() => {
    const listener = (now: boolean) => now && again();
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, [again]);
}
