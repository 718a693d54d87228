/**
 * Whether the server answers, and when it does again: networks change, and servers are restarted.
 *
 * @module
 */

import { useEffect, useState } from "preact/hooks";

/** The page itself, which the server has in memory. */
const PROBE = "/";
/** Milliseconds for an answer. */
const PATIENCE = 5_000;
/** Milliseconds after which a failure is no passing one. */
const SHORT = 1_000;
/** Milliseconds between two attempts, which grow from the first to the last. */
const [FIRST, LAST] = [250, 5_000];

let connected = true;
let asking: Promise<void> | undefined;
let goOn = () => {};
const listeners = new Set<(connected: boolean) => void>();

/** Asks whether the server answers, until it does. */
export function whenConnected(): Promise<void> {
  return asking ??= ask().finally(() => asking = undefined);
}

async function ask(): Promise<void> {
  for (let pause = FIRST;; pause = Math.min(pause * 2, LAST)) {
    const begun = performance.now();
    if (await answers()) return tell(true);
    // When a network changes, browsers end all requests once, and the next one works: nobody has to read of it.
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

/** A proxy says that the server behind it does not answer. */
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

/** Whether the server answers, as far as is known. */
export function useConnected(): boolean {
  const [now, setNow] = useState(connected);
  useEffect(() => {
    listeners.add(setNow);
    setNow(connected);
    return () => void listeners.delete(setNow);
  }, []);
  return now;
}

/** Does something whenever the server answers again. */
export function useReconnected(again: () => void): void {
  useEffect(() => {
    const listener = (now: boolean) => now && again();
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, [again]);
}
