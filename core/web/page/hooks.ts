/**
 * Hooks that screens share: reading from the server, the time, actions.
 *
 * @module
 */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./api.ts";
import { useReconnected } from "./connection.ts";
import { errorText } from "./error_text.ts";

/** Something that is read from the server. */
export interface Resource<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  readonly reload: () => void;
}

/**
 * Reads from the server. Reads again when the path changes, and when the server responds again. Outdated responses are
 * dropped.
 */
export function useResource<T>(path: string | undefined): Resource<T> {
  const [state, setState] = useState<{ data?: T; error?: unknown }>({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === undefined) return;
    const aborter = new AbortController();
    get<T>(path, aborter.signal).then(
      (data) => aborter.signal.aborted || setState({ data }),
      (error) => aborter.signal.aborted || setState({ error }),
    );
    return () => aborter.abort();
  }, [path, turn]);
  const reload = useCallback(() => setTurn((turn) => turn + 1), []);
  useReconnected(reload);
  return { data: state.data, error: state.error, reload };
}

/** The time, updated every few seconds while the page is visible. */
export function useNow(seconds = 5): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setNow(Date.now()), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return now;
}

/** An action of the user. */
export interface Action {
  readonly busy: boolean;
  readonly error: unknown;
  /** The error text for the field with that name, if the server refused its value. */
  readonly errorOf: (field: string) => string | undefined;
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

/** Runs one action at a time, and keeps its error. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const running = useRef(false);
  const run = useCallback(async (work: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (error) {
      setError(error);
    } finally {
      running.current = false;
      setBusy(false);
    }
  }, []);
  const errorOf = (field: string) => {
    if (!(error instanceof ApiError) || error.field === undefined) return undefined;
    return error.field.split(".").at(-1) === field || error.field === field ? errorText(error) : undefined;
  };
  return { busy, error, errorOf, run };
}

/** Sets the title of the window and tells screen readers that the screen has changed. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · wgd`;
  }, [title]);
}
