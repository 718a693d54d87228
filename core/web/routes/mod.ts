/**
 * All routes. What is not in this list does not exist.
 *
 * @module
 */

import type { Route } from "../routing.ts";
import { deviceRoutes } from "./devices.ts";
import { liveRoutes } from "./live.ts";
import { groupRoutes } from "./groups.ts";
import { inviteRoutes } from "./invites.ts";
import { meRoutes } from "./me.ts";
import { providerRoutes } from "./providers.ts";
import { sessionRoutes } from "./sessions.ts";
import { signInRoutes } from "./sign_in.ts";
import { userRoutes } from "./users.ts";

/** All routes. */
export const routes: readonly Route[] = [
  ...signInRoutes,
  ...meRoutes,
  ...sessionRoutes,
  ...deviceRoutes,
  ...liveRoutes,
  ...userRoutes,
  ...groupRoutes,
  ...providerRoutes,
  ...inviteRoutes,
];
