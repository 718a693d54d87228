/**
 * The signed-in user, for every part of the page.
 *
 * @module
 */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Me } from "./types.ts";

/** A session, and functions that change it. */
export interface Session {
  readonly me: Me;
  /** Reads the session again, because networks and the number of devices change. */
  readonly refresh: () => Promise<void>;
  readonly signOut: () => Promise<void>;
}

/** The context of the session. */
export const SessionContext = createContext<Session | undefined>(undefined);

/** The session. Screens that use this are shown only if there is one. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("nobody is signed in");
  return session;
}
