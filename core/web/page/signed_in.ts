/**
 * Who is signed in, as the server says.
 *
 * @module
 */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, onPending, onSignedOut, post } from "./api.ts";
import type { Session } from "./session.ts";
import type { Me } from "./types.ts";

/** Milliseconds between two questions to the server whether the interfaces have all devices. */
const SETTLING = 3_000;

/** What is known of the session. */
export interface SignedIn {
  /** Undefined if nobody is signed in, or this is not known yet. */
  readonly session: Session | undefined;
  /** Null if nobody is signed in. Undefined if this is not known yet. */
  readonly me: Me | null | undefined;
  /** Why it is not known. */
  readonly error: unknown;
  readonly refresh: () => Promise<void>;
  readonly enter: (me: Me) => void;
}

/** @param asks Whether the server is asked at the beginning. */
export function useSignedIn(asks: boolean, onSignOut: () => void): SignedIn {
  const [me, setMe] = useState<Me | null>();
  const [error, setError] = useState<unknown>();
  // Aborted when the session ends, because a later answer would show its screens again.
  const ending = useRef(new AbortController());

  const leave = useCallback(() => {
    ending.current.abort();
    ending.current = new AbortController();
    setMe(null);
  }, []);
  const refresh = useCallback(async () => {
    const { signal } = ending.current;
    try {
      // Browsers print failed requests on their console, and that nobody is signed in is no error.
      const { me } = await get<{ me: Me | null }>("session", signal);
      if (signal.aborted) return;
      if (me === null) return leave();
      setMe(me);
      setError(undefined);
    } catch (error) {
      if (!signal.aborted) setError(error);
    }
  }, []);
  const signOut = useCallback(async () => {
    await post("sign-out");
    leave();
    onSignOut();
  }, []);
  useEffect(() => {
    onSignedOut(leave);
    onPending(refresh);
    if (asks) refresh();
  }, []);
  useEffect(() => {
    if (!me || me.settled) return;
    const { signal } = ending.current;
    let timer = setTimeout(ask, SETTLING);
    // Nobody has requested this, so an error is not shown.
    async function ask() {
      const now = await get<Me>("me", signal).catch(() => undefined);
      if (signal.aborted) return;
      if (now) setMe(now);
      else timer = setTimeout(ask, SETTLING);
    }
    return () => clearTimeout(timer);
  }, [me]);
  const session = useMemo(() => me ? { me, refresh, signOut } : undefined, [me, refresh, signOut]);
  return { session, me, error, refresh, enter: setMe };
}
