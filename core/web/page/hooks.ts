/**
 * What screens have in common: what they ask of the server, the time, actions.
 *
 * @module
 */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./api.ts";
import { useReconnected } from "./connection.ts";
import { errorText } from "./error_text.ts";

/** Something that the server is asked for. */
export interface Resource<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  readonly reload: () => void;
}

/** Asks the server, again when the path changes and when it was away. An answer that is out of date is dropped. */
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

/** The time, renewed every few seconds while somebody can see it. */
export function useNow(seconds = 5): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setNow(Date.now()), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return now;
}

/** Something that a person starts. */
export interface Action {
  readonly busy: boolean;
  readonly error: unknown;
  /** The text for the field of that name, if the server refused it. */
  readonly errorOf: (field: string) => string | undefined;
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

/** Runs one piece of work at a time, and holds its error. */
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
