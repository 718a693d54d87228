/**
 * Who is signed in, for every part of the page.
 *
 * @module
 */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Me } from "./types.ts";

/** A session, and what changes it. */
export interface Session {
  readonly me: Me;
  /** Asks the server once more who is signed in: networks and the number of devices change. */
  readonly refresh: () => Promise<void>;
  readonly signOut: () => Promise<void>;
}

/** Holds the session. */
export const SessionContext = createContext<Session | undefined>(undefined);

/** The session. Screens that use it are shown only where there is one. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("nobody is signed in");
  return session;
}
